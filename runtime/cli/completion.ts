/** Shell completion, written from the commands themselves, so that it is never out of date. */
import type { Command } from 'commander'
import { UsageError } from '../base/errors.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

/** The script to be sourced by `shell`. Throws UsageError for an unknown shell. */
export function completionScript(program: Command, shell: string): string {
  if (shell === 'bash') return bash(program)
  if (shell === 'zsh') return `autoload -U +X bashcompinit && bashcompinit\n${bash(program)}`
  if (shell === 'fish') return fish(program)
  throw new UsageError(`completion ${shell}: the shells are ${shells.join(', ')}`)
}

function bash(program: Command): string {
  const names = program.commands.map((command) => command.name()).join(' ')
  const cases = program.commands.map(
    (command) => `    ${command.name()}) echo "${wordsOf(command, program).join(' ')}" ;;`,
  )
  return [
    '_ganglion_words() {',
    '  case "$1" in',
    ...cases,
    `    *) echo "${names}" ;;`,
    '  esac',
    '}',
    '_ganglion() {',
    // $2 is the word being completed, COMP_LINE the line so far.
    '  local command; read -r _ command _ <<<"$COMP_LINE"',
    `  if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "${names}" -- "$2")); return; fi`,
    '  COMPREPLY=($(compgen -W "$(_ganglion_words "$command")" -- "$2") $(compgen -f -- "$2"))',
    '}',
    'complete -F _ganglion ganglion',
  ].join('\n')
}

function wordsOf(command: Command, program: Command): string[] {
  const flags = [...program.options, ...command.options]
    .filter((option) => !option.hidden)
    .map((option) => option.long ?? option.flags)
  return [...command.commands.map((inner) => inner.name()), ...flags]
}

function fish(program: Command): string {
  const lines = program.commands.flatMap((command) => [
    `complete -c ganglion -n __fish_use_subcommand -a ${command.name()} -d ${JSON.stringify(command.description())}`,
    ...command.options
      .filter((option) => !option.hidden && option.long)
      .map(
        (option) =>
          `complete -c ganglion -n "__fish_seen_subcommand_from ${command.name()}" -l ${option.long?.slice(2)} -d ${JSON.stringify(option.description)}`,
      ),
  ])
  return lines.join('\n')
}
