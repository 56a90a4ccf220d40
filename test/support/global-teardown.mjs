/** Jest's teardown: stops the shared stacks. */
export default async function tearDown() {
  const { stopSharedStacks } = await import('./shared-stack.ts');
  await stopSharedStacks();
}
