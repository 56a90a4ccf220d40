/** `penstock dev`. */
import type { Command } from '../command.ts';

export const command: Command = {
  run: async () => {},
};
