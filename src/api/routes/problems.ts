/** `/problems`: the table of errors as a page; every problem's `type` leads to its row. */
import { errorTable } from '../../domain/errors.ts';
import type { ApiApp } from '../api-app.ts';
import { escaped, sendPage } from '../html-page.ts';

const rows = Object.entries(errorTable)
  .map(
    ([code, { status, title, cure }]) =>
      `<tr id="${code}"><td><code>${code}</code><td>${status}<td>${escaped(title)}<td>${escaped(cure)}`,
  )
  .join('\n');

const body = `<p>What each <code>code</code> of a problem means, and what to change.
<table><tr><th>Code<th>Status<th>Meaning<th>What to change
${rows}
</table>`;

export function addProblemRoutes(app: ApiApp): void {
  app.get('/problems', { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) =>
    sendPage(reply, { title: 'errors', heading: 'Errors', body }),
  );
}
