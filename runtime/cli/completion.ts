/** Shell completion, written from the commands themselves, so that it is never out of date. */
import type { Command } from 'commander'
import { UsageError } from '../base/errors.ts'

export const shells = ['bash', 'zsh', 'fish'] as const

/** By command (`agent run`): what it can be given besides files. */
export type Given = Readonly<Record<string, readonly string[]>>

/** The script to be sourced by `shell`. Throws UsageError for an unknown shell. */
export function completionScript(program: Command, shell: string, given: Given): string {
  if (shell === 'bash') return bash(program, given)
  if (shell === 'zsh') return `autoload -U +X bashcompinit && bashcompinit\n${bash(program, given)}`
  if (shell === 'fish') return fish(program, given)
  throw new UsageError(`completion ${shell}: the shells are ${shells.join(', ')}`)
}

function bash(program: Command, given: Given): string {
  const names = namesOf(program)
  const cases = program.commands.flatMap((command) => [
    ...command.commands.map((inner) => {
      const name = `${command.name()} ${inner.name()}`
      return wordsCase(name, [...(given[name] ?? []), ...choicesOf(inner), ...wordsOf(inner)])
    }),
    wordsCase(command.name(), [...choicesOf(command), ...wordsOf(command)]),
  ])
  return [
    '_ganglion_words() {',
    '  case "$1" in',
    ...cases,
    '  esac',
    '}',
    '_ganglion() {',
    // $2 is the word being completed, COMP_LINE the line so far.
    `  local command inner; read -r _ command inner _ <<<"\${COMP_LINE%"$2"}"`,
    `  if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "${names.join(' ')}" -- "$2")); return; fi`,
    '  COMPREPLY=($(compgen -W "$(_ganglion_words "$command $inner ")" -- "$2") $(compgen -f -- "$2"))',
    '}',
    'complete -F _ganglion ganglion',
  ].join('\n')
}

const wordsCase = (start: string, words: readonly string[]) =>
  `    "${start} "*) echo "${words.join(' ')}" ;;`

const namesOf = (command: Command) => command.commands.map((inner) => inner.name())

const choicesOf = (command: Command) =>
  command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)

const longOptions = (command: Command) =>
  command.options.flatMap(({ hidden, long, description }) => (hidden || !long ? [] : [{ long, description }]))

const wordsOf = (command: Command) => [...namesOf(command), ...longOptions(command).map(({ long }) => long)]

function fish(program: Command, given: Given): string {
  const seen = (names: readonly string[]) => `__fish_seen_subcommand_from ${names.join(' ')}`
  const line = (when: string, what: string, description: string) =>
    `complete -c ganglion -n "${when}" ${what} -d ${JSON.stringify(description)}`
  const options = (command: Command, when: string) =>
    longOptions(command).map(({ long, description }) => line(when, `-l ${long.slice(2)}`, description))
  return program.commands
    .flatMap((command) => [
      line('__fish_use_subcommand', `-a ${command.name()}`, command.description()),
      ...options(command, seen([command.name()])),
      ...command.commands.flatMap((inner) => [
        line(
          `${seen([command.name()])}; and not ${seen(namesOf(command))}`,
          `-a ${inner.name()}`,
          inner.description(),
        ),
        ...options(inner, `${seen([command.name()])}; and ${seen([inner.name()])}`),
        ...(given[`${command.name()} ${inner.name()}`] ?? []).map((word) =>
          line(`${seen([command.name()])}; and ${seen([inner.name()])}`, `-a ${word}`, 'comes with Ganglion'),
        ),
        ...choicesOf(inner).map((word) =>
          line(`${seen([command.name()])}; and ${seen([inner.name()])}`, `-a ${word}`, inner.description()),
        ),
      ]),
    ])
    .join('\n')
}
