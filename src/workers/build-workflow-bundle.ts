/**
 * Bundles the workflow code once, at build time, so that workers start without webpack: `dist/workflow-bundle.js`, and
 * `dist/workflow-bundle-encrypted.js`, whose failures have their messages in payloads.
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

/** Bundles the workflows of a folder; returns the code. */
export async function bundleWorkflows(workflowsPath: string, failureConverterPath?: string): Promise<string> {
  const silent = () => {};
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    ...(failureConverterPath !== undefined && { failureConverterPath }),
    logger: { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent },
  });
  return code;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  const workflows = at('../workflows/index.js');
  await writeFile(at('../workflow-bundle.js'), await bundleWorkflows(workflows));
  const converter = at('./temporal/failure-converter.js');
  await writeFile(at('../workflow-bundle-encrypted.js'), await bundleWorkflows(workflows, converter));
}
