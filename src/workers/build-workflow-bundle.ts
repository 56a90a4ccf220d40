/** Bundles the workflow code once, at build time: `dist/workflow-bundle.js`. Workers then start without webpack. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';

/** Bundles the workflows of a folder; returns the code. */
export async function bundleWorkflows(workflowsPath: string): Promise<string> {
  const silent = () => {};
  const { code } = await bundleWorkflowCode({
    workflowsPath,
    logger: { log: silent, trace: silent, debug: silent, info: silent, warn: silent, error: silent },
  });
  return code;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  await writeFile(at('../workflow-bundle.js'), await bundleWorkflows(at('../workflows/index.js')));
}
