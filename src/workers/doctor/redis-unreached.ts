/** Why Redis is not reached, in words that somebody can act upon: ioredis says of most that a stream is not writeable. */
import type { RedisAddress } from '../../domain/redis-address.ts';
import type { Unreached } from '../../schedule/redis-connectors.ts';
import { wordsOf } from './finding.ts';

interface Trouble {
  readonly address: RedisAddress;
  /** The client's first, or that of the first question. */
  readonly error: unknown;
  /** The server that it was, where one is known. */
  readonly unreached: Unreached | undefined;
}

/** Of errors that say nothing of a server. */
const silence = /does not answer|isn't writeable|ETIMEDOUT|Failed to refresh slots cache|Command timed out/;

/** By an error's code and words. */
const cures: readonly (readonly [RegExp, string])[] = [
  [
    /UNABLE_TO|SELF_SIGNED/,
    'Name the file of the authority that its certificate is from: sslrootcert=… in PENSTOCK_REDIS_URL.',
  ],
  [/ALTNAME/, 'Its certificate has other names: reach it by one of them, or have it issued for this one.'],
  [/CERT_HAS_EXPIRED/, 'Renew its certificate.'],
  [
    /ALERT/,
    'It refuses our certificate, or that there is none: name one that it trusts, and its key, by sslcert=… and sslkey=… in PENSTOCK_REDIS_URL.',
  ],
  [/No such master/, 'Name the master as the Sentinels know it, behind their hosts in PENSTOCK_REDIS_URL.'],
];
const speaksPlain =
  'See that the server runs, and that it speaks TLS at this port: one that does not is reached by redis://.';
const speaksTls =
  'See that the server runs, and that it does not speak TLS at this port: one that does is reached by rediss://.';
const other = 'Check PENSTOCK_REDIS_URL, that the server runs and takes writes, and its password.';

/** What happened, to what, and what to do. */
export function describeUnreached({ address, error, unreached }: Trouble): { detail: string; cure: string } {
  const said = [unreached?.error, error].find((each) => each !== undefined && !silence.test(wordsOf(each)));
  const words =
    said === undefined ? 'does not answer' : wordsOf(said).replace(/^All sentinels.*Last error: /, '');
  const all = `${(said as NodeJS.ErrnoException | undefined)?.code ?? ''} ${words}`;
  const known = cures.find(([pattern]) => pattern.test(all))?.[1];
  const isOtherSpeech = /does not answer|without a word|ECONNRESET|EPIPE|ERR_SSL/.test(all);
  const speech = address.tls ? speaksPlain : speaksTls;
  const server = unreached?.server ?? address.nodes.map(({ host, port }) => `${host}:${port}`).join(', ');
  return {
    detail: `${server}: ${words}`,
    cure: `${known ?? (isOtherSpeech ? speech : other)} Until then runs start from the rows, more slowly.`,
  };
}
