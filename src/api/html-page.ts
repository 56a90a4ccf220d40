/** The few pages that the API itself shows. Each is whole: it loads nothing, runs no script, and stands in no other page. */
import type { FastifyReply } from 'fastify';

const policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";
const style =
  'body{font:16px/1.5 system-ui;margin:2rem auto;max-width:70rem;padding:0 1rem}td,th{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid #ddd}tr:target{background:#fff6c8}';

/** Text as HTML, also within an attribute. */
export const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** @param body HTML, as it is; title and heading are text */
export const sendPage = (
  reply: FastifyReply,
  { title, heading, body }: { title: string; heading: string; body: string },
): FastifyReply =>
  reply.type('text/html; charset=utf-8').header('content-security-policy', policy)
    .send(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Penstock: ${escaped(title)}</title>
<style>${style}</style>
<h1>${escaped(heading)}</h1>
${body}
</html>`);
