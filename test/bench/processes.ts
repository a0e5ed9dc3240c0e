/** Processes as the kernel lists them (proc_pid_stat(5)): what was started by whom, with which arguments. */
import { readdirSync, readFileSync } from 'node:fs'

/** The child of `parent` that runs the file `program`. Throws when there is none. */
export function childRunning(program: string, parent: number): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = pids.map(Number).find((pid) => parentOf(pid) === parent && commandLine(pid).includes(program))
  if (found === undefined) throw new Error(`process ${parent} runs no ${program}`)
  return found
}

/** Node's own flags of a running program. */
export function nodeFlags(pid: number): string[] {
  const [, ...args] = commandLine(pid)
  return args.slice(
    0,
    args.findIndex((arg) => !arg.startsWith('-')),
  )
}

function commandLine(pid: number): string[] {
  return read(pid, 'cmdline').split('\0')
}

function parentOf(pid: number): number {
  const stat = read(pid, 'stat')
  // The fourth field; the second, a name in parentheses, may hold anything.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}

/** Empty when the process has ended meanwhile. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
