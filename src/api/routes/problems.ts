/** `/problems`: the table of errors as a page; every problem's `type` leads to its row. */
import { errorTable } from '../../domain/errors.ts';
import type { ApiApp } from '../api-app.ts';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

const rows = Object.entries(errorTable)
  .map(
    ([code, { status, title, cure }]) =>
      `<tr id="${code}"><td><code>${code}</code><td>${status}<td>${escaped(title)}<td>${escaped(cure)}`,
  )
  .join('\n');

const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Penstock: errors</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}td,th{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #ddd}tr:target{background:#fff6c8}</style>
<h1>Errors</h1><p>What each <code>code</code> of a problem means, and what to change.
<table><tr><th>Code<th>Status<th>Meaning<th>What to change
${rows}
</table></html>`;

export function addProblemRoutes(app: ApiApp): void {
  app.get('/problems', { config: { access: 'open' }, schema: { hide: true } }, async (_, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
      .send(page),
  );
}
