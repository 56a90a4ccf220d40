/** What processes take of the machine, from Linux' /proc; elsewhere there are no figures, and the report says so. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Peak and present resident memory in MiB; undefined when the process is gone or there is no /proc. */
export function readMemory(pid: number): { peakMiB: number; nowMiB: number } | undefined {
  const status = readText(`/proc/${pid}/status`);
  const peak = /^VmHWM:\s+(\d+) kB/m.exec(status)?.[1];
  const now = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  return peak && now ? { peakMiB: Number(peak) / 1024, nowMiB: Number(now) / 1024 } : undefined;
}

/** From now on the peak is that of what follows. */
export function forgetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Not Linux, or not allowed: the peak is then that of the whole life, which is no less.
  }
}

/** Processor time in seconds that the process has used; with `children`, that its finished children have used. */
export function readCpuSeconds(pid: number, whose: 'own' | 'children' = 'own'): number | undefined {
  const afterName = readText(`/proc/${pid}/stat`).split(') ')[1]?.split(' ');
  if (!afterName) return undefined;
  // utime and stime are fields 14 and 15 of the line, cutime and cstime 16 and 17; the third is the first here.
  const [user, system] = whose === 'own' ? [afterName[11], afterName[12]] : [afterName[13], afterName[14]];
  return (Number(user) + Number(system)) / clockTicksPerSecond;
}

/** Processor time in seconds that the machine has used since its start, all processors together; NaN without /proc. */
export function readMachineCpu(): number {
  // cpu user nice system idle iowait irq softirq …
  const [, user, nice, system, , , irq, softIrq] = readText('/proc/stat').split(/\s+/).map(Number);
  return (user! + nice! + system! + irq! + softIrq!) / clockTicksPerSecond;
}

/** The processes that a process has started and that are still there. */
export const childrenOf = (pid: number): number[] =>
  readText(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);

/** USER_HZ is 100 on every Linux that Node runs on. */
const clockTicksPerSecond = 100;

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
