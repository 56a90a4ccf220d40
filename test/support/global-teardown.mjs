/** Jest's teardown: stops the shared stack. */
export default async function tearDown() {
  const { stopSharedStack } = await import('./shared-stack.ts');
  await stopSharedStack();
}
