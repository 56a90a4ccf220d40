import { expect, test } from '@jest/globals';
import { verifyLoad } from '../../../src/copy/verify-load.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { Destination } from '../../../src/ports/destination.ts';
import { createFakeSource } from '../../support/fake-source.ts';

test('a source that cannot be compared is refused before anything is asked', async () => {
  const source = createFakeSource({ query: 'q', columns: [], rows: [] });
  const { signal } = new AbortController();
  const verified = verifyLoad(
    { source, destination: {} as Destination },
    { sync: newId('sync'), maxExamples: 1, signal },
  );
  await expect(verified).rejects.toMatchObject({ code: 'NOT_COMPARABLE' });
});
