/**
 * `/v1/codec/sign-in`: the Temporal Web UI cannot send an API key, but it lets the browser send cookies. This page takes
 * an operator's key and keeps it in a cookie that goes to the codec endpoint alone, and that scripts cannot read.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ApiKeyStore } from '../../ports/api-key-store.ts';
import type { ApiApp } from '../api-app.ts';
import type { ApiDeps } from '../api-deps.ts';
import { escaped, sendPage } from '../html-page.ts';

const path = '/v1/codec/sign-in';
const cookieName = 'penstock_codec';
const cookieSeconds = 12 * 60 * 60;

/** The API key that the browser has signed in with; undefined when it has not. */
export const signedInKey = ({ headers }: FastifyRequest): string | undefined =>
  new RegExp(`(?:^|; *)${cookieName}=([^; ]+)`).exec(headers.cookie ?? '')?.[1];

export function addCodecSignIn(app: ApiApp, { store, links }: ApiDeps): void {
  const publicUrl = links.publicUrl ?? '';
  const cookie = (value: string, seconds: number): string =>
    [
      `${cookieName}=${value}`,
      `Path=${new URL(`${publicUrl}/v1/codec`, 'http://api').pathname}`,
      `Max-Age=${seconds}`,
      'HttpOnly',
      // Where the Web UI is of another site, only this is sent; the codec asks for its origin in any case.
      publicUrl.startsWith('https:') ? 'SameSite=None; Secure' : 'SameSite=Strict',
    ].join('; ');

  app.get(path, { config: { access: 'open' }, schema: { hide: true } }, async (request, reply) => {
    const key = signedInKey(request);
    const isIn = key !== undefined && (await isOperators(key, store.apiKeys));
    return show(reply, isIn ? signedIn(links) : form());
  });
  void app.register(async (scope: ApiApp) => {
    scope.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string' },
      async (_: FastifyRequest, body: string | Buffer) =>
        Object.fromEntries(new URLSearchParams(String(body))),
    );
    scope.post(
      path,
      { config: { access: 'open' }, schema: { hide: true, body: z.object({ key: z.string().trim() }) } },
      async ({ body: { key } }, reply) => {
        if (key !== '' && !(await isOperators(key, store.apiKeys)))
          return show(reply.code(401), form('This is no operator’s API key that is known and in force.'));
        void reply.header('set-cookie', key === '' ? cookie('', 0) : cookie(key, cookieSeconds));
        return reply.redirect('sign-in', 303);
      },
    );
  });
}

/** Histories are those of all tenants. */
const isOperators = async (key: string, apiKeys: ApiKeyStore): Promise<boolean> =>
  (await apiKeys.authenticate(key))?.tenantId === null;

const show = (reply: FastifyReply, body: string): FastifyReply =>
  sendPage(reply, {
    title: 'encrypted payloads',
    heading: 'Encrypted payloads in the Temporal Web UI',
    body,
  });

const form = (refusal = ''): string => `<form method="post"><p>${refusal}
<p><label>An operator’s API key <input name="key" type="password" required autocomplete="off" size="50"></label>
<button>Sign in</button></form>
<p>It is kept for twelve hours, in a cookie of this browser. One with the role viewer is enough.`;

function signedIn({ publicUrl = '<this API>', temporalUiUrl }: ApiDeps['links']): string {
  const ui = temporalUiUrl === undefined ? undefined : new URL(temporalUiUrl).href;
  return `<p>This browser is signed in. In the <a href="${ui ?? ''}">Temporal Web UI</a>, under <b>Codec Server</b>, give the
endpoint <code>${escaped(publicUrl)}/v1/codec</code> and turn on <b>Include cross-origin credentials</b>.
${ui === undefined ? '<p>This API does not know where the Web UI is: set PENSTOCK_TEMPORAL_UI_URL.' : ''}
<form method="post"><input name="key" type="hidden" value=""><button>Sign out</button></form>`;
}
