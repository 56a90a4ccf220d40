/**
 * A socket that reads into one buffer, again and again. Node would make a buffer for every read: a copy of some hundred
 * megabytes then keeps V8's collector busy, on threads of its own that take the servers' time.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** What is read at most at once. */
export const gulpBytes = 256 * 1024;

/** How the bytes of a read are given to `data` listeners: as they lie in the buffer, until the listener returns. */
export interface Lending {
  /** Off at first: whoever listens gets a copy that is theirs. */
  lends: boolean;
}

/** A socket for one connection, not for TLS. */
export function createGulpingSocket(): Socket & Lending {
  const buffer = Buffer.allocUnsafeSlow(gulpBytes);
  const callback = (length: number): boolean => {
    const bytes = buffer.subarray(0, length);
    socket.emit('data', socket.lends ? bytes : Buffer.from(bytes));
    return true;
  };
  const onread = { buffer, callback };
  const socket = Object.assign(new Socket({ onread } as SocketConstructorOpts), { lends: false });
  return socket;
}

/** Whether a connection's socket is one of these. */
export const canLend = (stream: object): stream is Lending => 'lends' in stream;
