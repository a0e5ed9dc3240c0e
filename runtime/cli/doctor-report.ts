/**
 * What `doctor` shows a person, in 80 columns: the header as it is on the board, what hangs on it, what the machine has, and
 * the findings, numbered, each with its next step. Plain text first, colour on whole words: the same with and without.
 */
import type { BusAnswer, BusReport, Examination, Finding } from '../../hal/contract/examination.ts'
import { headerTable } from './header-table.ts'
import type { Terminal } from './terminal.ts'

type Style = Terminal['style']

const width = 80
/** Columns of the names on the left. */
const labelWidth = 15

export function reportLines(machine: Examination, findings: readonly Finding[], style: Style): string[] {
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : ['', style('bold', title), ...lines]
  const uses = new Map(machine.pinUses.map(({ pin, by }) => [pin, by]))
  return [
    style('bold', machine.board.name),
    ...wrapped(`recognised by ${machine.board.recognisedBy}`, '  '),
    ...machine.headers.flatMap((header) =>
      section(`Header ${header.name}`, headerTable(header, uses, style)),
    ),
    ...section('Buses', busLines(machine.buses, style)),
    ...section('GPIO chips', nodeLines(machine.gpioChips)),
    ...section('Serial ports', nodeLines(machine.serialPorts)),
    ...section('Accelerators', acceleratorLines(machine)),
    ...section('Heat and power', [...heatLines(machine), ...powerLines(machine)]),
    ...section('Memory and watchdog', [...memoryLines(machine), ...watchdogLines(machine)]),
    ...section(
      'Findings',
      findings.flatMap((finding, index) => findingLines(finding, index + 1, style)),
    ),
  ]
}

/** A name on the left and text beside it, as many lines as it needs. */
function entry(label: string, text: string): string[] {
  const indent = ' '.repeat(labelWidth + 2)
  const [first = '', ...more] = wrapped(text, indent)
  const name = `  ${label}`
  const start = name.length < indent.length ? [name.padEnd(indent.length) + first.trimStart()] : [name, first]
  return [...start, ...more]
}

/** Words in lines of 80 columns behind `indent`; a word that is longer stands alone. */
export function wrapped(text: string, indent: string): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(/\s+/)) {
    const longer = line === '' ? word : `${line} ${word}`
    if (line !== '' && indent.length + longer.length > width) {
      lines.push(indent + line)
      line = word
    } else line = longer
  }
  return [...lines, indent + line]
}

const stateStyle = { on: 'green', off: 'dim', denied: 'yellow' } as const
const stateText = { on: 'on', off: 'off', denied: 'no right' } as const

/** Buses one by one; those that are off for the same reason together, at the end. */
function busLines(buses: readonly BusReport[], style: Style): string[] {
  const off = new Map<string, string[]>()
  for (const { id, state, note = '' } of buses)
    if (state === 'off') off.set(note, [...(off.get(note) ?? []), id])
  return [
    ...buses.filter(({ state }) => state !== 'off').flatMap((bus) => busEntry(bus, style)),
    ...[...off].flatMap(([note, ids]) => stateEntry(ids.join(', '), 'off', note, style)),
  ]
}

function busEntry({ id, state, path, note, answers }: BusReport, style: Style): string[] {
  const nobody = answers?.length === 0 ? 'nobody answers' : undefined
  const text = [path, nobody, note].filter((part) => part !== undefined).join('; ')
  return [...stateEntry(id, state, text, style), ...(answers ?? []).flatMap(answerLines)]
}

function stateEntry(label: string, state: BusReport['state'], text: string, style: Style): string[] {
  const shown = stateText[state]
  const lines = entry(label, text === '' ? shown : `${shown}: ${text}`)
  const at = lines.findIndex((line) => line.slice(labelWidth + 2).startsWith(shown))
  return lines.map((line, index) =>
    index === at
      ? line.slice(0, labelWidth + 2) +
        style(stateStyle[state], shown) +
        line.slice(labelWidth + 2 + shown.length)
      : line,
  )
}

function answerLines({ address, kernelDriver, configured, couldBe }: BusAnswer): string[] {
  if (configured.length > 0) return entry('', `${address}: ${configured.join(', ')}`)
  if (kernelDriver !== undefined) return entry('', `${address}: the kernel's driver ${kernelDriver} has it`)
  return entry(
    '',
    `${address}: somebody${couldBe.length > 0 ? `; could be ${couldBe.join(', ')}` : ' that no driver knows'}`,
  )
}

function nodeLines(nodes: Examination['gpioChips']): string[] {
  return nodes.flatMap(({ path, name, usable, group }) => {
    const right = usable ? '' : `no right${group === undefined ? '' : `: group ${group}`}`
    return entry(path.slice(path.lastIndexOf('/') + 1), [name, right].filter(Boolean).join(', ') || 'there')
  })
}

function acceleratorLines({ accelerators }: Examination): string[] {
  return accelerators.flatMap(({ id, name, claim, usable, whyNot }) =>
    entry(id, `${name}${/\d/.test(claim) ? `, ${claim}` : ''}: ${usable ? 'used' : (whyNot ?? 'not used')}`),
  )
}

function heatLines({ thermal }: Examination): string[] {
  return thermal.flatMap(({ type, tempC, warnC, criticalC }) => {
    const limits = [
      warnC === undefined ? '' : `warm from ${warnC} °C`,
      criticalC === undefined ? '' : `critical at ${criticalC} °C`,
    ].filter(Boolean)
    return entry(type, [`${tempC.toFixed(1)} °C`, ...limits].join(', '))
  })
}

function powerLines({ power }: Examination): string[] {
  return power.flatMap(({ kind, name, alarm, rails, whyNot }) => {
    if (rails) return rails.flatMap((rail) => entry(rail.label, railText(rail)))
    return entry(
      kind,
      `${name}: ${whyNot === undefined ? (alarm ? 'yes' : 'no') : 'this kernel does not say'}`,
    )
  })
}

type Rail = NonNullable<Examination['power'][number]['rails']>[number]

function railText({ volts, amperes, watts }: Rail): string {
  return [
    volts === undefined ? '' : `${volts.toFixed(2)} V`,
    amperes === undefined ? '' : `${amperes.toFixed(2)} A`,
    watts === undefined ? '' : `${watts.toFixed(1)} W`,
  ]
    .filter(Boolean)
    .join(', ')
}

function memoryLines({ memory }: Examination): string[] {
  const { totalMb, availableMb, budgetMb } = memory
  const there = totalMb === undefined ? 'not known' : `${availableMb ?? '?'} of ${totalMb} MB are free`
  return entry('memory', `${there}; wanted: runtime ${budgetMb.runtime} MB, models ${budgetMb.engine} MB`)
}

function watchdogLines({ watchdog }: Examination): string[] {
  if (!watchdog) return entry('watchdog', 'none')
  const { identity, maxS, active, path } = watchdog
  return entry(
    'watchdog',
    [identity ?? path, maxS === undefined ? '' : `up to ${maxS} s`, active ? 'fed by somebody' : 'free']
      .filter(Boolean)
      .join(', '),
  )
}

const marks = { ok: ['✓', 'green'], warn: ['!', 'yellow'], fail: ['✗', 'red'] } as const

function findingLines({ check, severity, found, next }: Finding, number: number, style: Style): string[] {
  const [mark, colour] = marks[severity]
  const start = `${String(number).padStart(2)} `
  const indent = ' '.repeat(start.length + 2)
  const [first = '', ...more] = wrapped(`${check}: ${found}`, indent)
  const lines = [`${start}${style(colour, mark)} ${first.trimStart()}`, ...more]
  if (next === undefined) return lines
  const [step = '', ...steps] = wrapped(next, `${indent}  `)
  return [...lines, ...[`${indent}→ ${step.trimStart()}`, ...steps].map((line) => style('dim', line))]
}
