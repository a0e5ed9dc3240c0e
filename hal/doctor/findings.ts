/** From what was seen to what is wrong and what to do ([doctor-2]). Pure: the same examination gives the same findings. */
import type { Board } from '../contract/board.ts'
import type { Driver } from '../contract/driver.ts'
import type { BusReport, Examination, Finding } from '../contract/examination.ts'
import { hex } from '../linux/i2c.ts'
import type { PlacedPart, Uses } from './uses.ts'

export type Seen = Omit<Examination, 'findings'>

export interface Known {
  readonly board: Board
  readonly drivers: readonly Driver[]
  readonly uses: Uses
}

export function findingsOf(seen: Seen, known: Known): Finding[] {
  return [
    boardFinding(seen),
    ...gpioFindings(seen),
    ...busFindings(seen, known),
    ...partFindings(seen, known),
    ...heatFindings(seen),
    ...powerFindings(seen),
    acceleratorFinding(seen),
    memoryFinding(seen),
    ...watchdogFindings(seen),
    ...groupFindings(seen, known),
  ]
}

function boardFinding({ board }: Seen): Finding {
  const found = `${board.name}, by ${board.recognisedBy}`
  return {
    check: 'board',
    severity: 'ok',
    found: board.generic
      ? `${found}: no listed board is this machine, so its header is not known; name lines as the kernel does`
      : found,
  }
}

/** The chips that the board's header hangs on must be there; silent where no chip could be asked. */
function gpioFindings({ headers, gpioChips }: Seen): Finding[] {
  const needed = new Set(
    headers.flatMap(({ pins }) => pins.flatMap((pin) => ('chip' in pin ? pin.chip : []))),
  )
  const labels = [...new Set(gpioChips.flatMap(({ name }) => name ?? []))]
  if (needed.size === 0) return []
  if (gpioChips.length === 0)
    return [
      {
        check: 'gpio',
        severity: 'warn',
        found: 'there is no /dev/gpiochip*: the pins of the header cannot be used',
        next: 'start with a kernel that has the board’s GPIO driver and CONFIG_GPIO_CDEV',
      },
    ]
  if (labels.length === 0) return []
  const absent = [...needed].filter((chip) => !labels.includes(chip))
  if (absent.length === 0) return [{ check: 'gpio', severity: 'ok', found: labels.join(', ') }]
  return [
    {
      check: 'gpio',
      severity: 'warn',
      found: `no GPIO chip is labelled ${absent.join(' or ')}; there are ${labels.join(', ')}`,
      next: 'start with the kernel of the board’s maker; pins of that chip cannot be used with this one',
    },
  ]
}

function busFindings({ buses }: Seen, { uses }: Known): Finding[] {
  const wanted = new Set(uses.parts.flatMap(({ bus }) => bus ?? []))
  const on = buses.filter(({ state }) => state === 'on').map(({ id }) => id)
  const asked = buses.flatMap(({ answers }) => answers ?? [])
  const summary: Finding[] =
    buses.length === 0
      ? []
      : [
          {
            check: 'buses',
            severity: 'ok',
            found:
              on.length === 0
                ? 'none is on'
                : `on: ${on.join(', ')}; ${asked.length === 0 ? 'nobody answers' : `${asked.length} answer`}`,
          },
        ]
  return [...summary, ...buses.flatMap((bus) => troubleOf(bus, wanted.has(bus.id)))]
}

/** A bus that is off is wrong only where a part needs it; one that does not answer is wrong anyway. */
function troubleOf({ id, kind, state, note, answers }: BusReport, wanted: boolean): Finding[] {
  if (state === 'off')
    return wanted
      ? [{ check: id, severity: 'fail', found: 'is off, and a part needs it', next: note ?? 'turn it on' }]
      : []
  if (state === 'denied')
    return wanted
      ? [
          {
            check: id,
            severity: 'fail',
            found: 'may not be used by this user, and a part needs it',
            next: note ?? 'join its group',
          },
        ]
      : []
  if (kind !== 'i2c' || answers !== undefined || note === undefined || note === 'not asked') return []
  return [
    {
      check: id,
      severity: wanted ? 'fail' : 'warn',
      found: note,
      next: 'take the parts off one by one: a bus stays stuck while one of them holds SDA or SCL low',
    },
  ]
}

function partFindings(seen: Seen, { uses, drivers }: Known): Finding[] {
  const problems = uses.problems.map(
    (problem): Finding => ({
      check: 'configuration',
      severity: 'fail',
      found: problem,
      next: 'correct this place of the configuration',
    }),
  )
  return [...problems, ...uses.parts.flatMap((part) => partFinding(part, seen, drivers))]
}

/** Only where the bus was asked: silence says nothing otherwise. */
function partFinding(part: PlacedPart, { buses }: Seen, drivers: readonly Driver[]): Finding[] {
  const check = `part ${part.id}`
  const answers = buses.find(({ id }) => id === part.bus)?.answers
  if (answers === undefined || part.address === undefined) return []
  const address = typeof part.address === 'number' ? hex(part.address) : part.address
  const there = answers.find((answer) => answer.address === address)
  if (there?.kernelDriver !== undefined)
    return [
      {
        check,
        severity: 'fail',
        found: `the kernel's driver ${there.kernelDriver} has ${address} on ${part.bus}`,
        next: `take its overlay out of the boot configuration, or keep the kernel's driver out: echo 'blacklist ${there.kernelDriver}' | sudo tee /etc/modprobe.d/ganglion.conf`,
      },
    ]
  if (there) return [{ check, severity: 'ok', found: `answers at ${address} on ${part.bus}` }]
  const elsewhere = otherAddress(part, answers, drivers)
  return [
    {
      check,
      severity: 'fail',
      found: `nobody answers at ${address} on ${part.bus}`,
      next: elsewhere
        ? `somebody answers at ${elsewhere}, where a ${part.driver} can be too: try address: ${elsewhere}`
        : 'look at its power, ground and wires, and at its address pins',
    },
  ]
}

function otherAddress(
  part: PlacedPart,
  answers: NonNullable<BusReport['answers']>,
  drivers: readonly Driver[],
): string | undefined {
  const connection = drivers.find(({ id }) => id === part.driver)?.connection
  if (connection?.bus !== 'i2c') return undefined
  const possible = connection.addresses.map(hex)
  return answers.find(({ address, configured }) => configured.length === 0 && possible.includes(address))
    ?.address
}

function heatFindings({ thermal }: Seen): Finding[] {
  const hottest = [...thermal].sort((a, b) => b.tempC - a.tempC)[0]
  const hot = thermal.filter(({ verdict }) => verdict !== 'ok')
  if (hot.length === 0)
    return hottest
      ? [{ check: 'heat', severity: 'ok', found: `hottest: ${hottest.type} ${degrees(hottest.tempC)}` }]
      : []
  return hot.map(({ type, tempC, verdict, warnC, criticalC }) => {
    const limit = verdict === 'critical' ? criticalC : warnC
    return {
      check: 'heat',
      severity: verdict === 'critical' ? 'fail' : 'warn',
      found: `${type} is at ${degrees(tempC)}, its limit is ${limit === undefined ? 'not known' : degrees(limit)}`,
      next: 'give it air: a fan, a heat sink, or a case that is open on top; models run slower until then',
    }
  })
}

const degrees = (tempC: number) => `${tempC.toFixed(1)} °C`

const powerTrouble = {
  'under-voltage': {
    severity: 'fail',
    found: 'the supply gives too little voltage',
    next: 'use the supply that the board’s maker sells, with a short, thick cable',
  },
  throttle: {
    severity: 'warn',
    found: 'the firmware held the clock back or saw too little voltage since the start',
    next: 'look at supply and cooling; it is forgotten at the next start',
  },
} as const

function powerFindings({ power }: Seen): Finding[] {
  const findings = power.flatMap(({ kind, alarm }): Finding[] => {
    if (alarm !== true || kind === 'rail') return []
    return [{ check: 'power', ...powerTrouble[kind] }]
  })
  const told = power.filter(({ alarm, rails }) => alarm !== undefined || rails !== undefined)
  if (findings.length > 0 || told.length === 0) return findings
  return [{ check: 'power', severity: 'ok', found: 'no shortage is reported' }]
}

function acceleratorFinding({ accelerators }: Seen): Finding {
  const usable = accelerators.filter((one) => one.usable).map(({ name }) => name)
  return {
    check: 'accelerators',
    severity: 'ok',
    found: `models run on: ${usable.length === 0 ? 'the CPU' : usable.join(', ')}`,
  }
}

function memoryFinding({ memory, board }: Seen): Finding {
  const { totalMb, availableMb, budgetMb } = memory
  const wanted = budgetMb.runtime + budgetMb.engine
  const budget = `runtime ${budgetMb.runtime} MB and models ${budgetMb.engine} MB`
  if (totalMb === undefined || availableMb === undefined)
    return { check: 'memory budget', severity: 'ok', found: `${budget} for ${board.name}` }
  const found = `${budget} wanted; ${availableMb} of ${totalMb} MB are free`
  if (availableMb >= wanted) return { check: 'memory budget', severity: 'ok', found }
  return {
    check: 'memory budget',
    severity: 'warn',
    found,
    next:
      totalMb >= wanted
        ? 'end what else runs here, or run with --no-voice'
        : 'run with --no-voice: this machine has less memory than its budget',
  }
}

function watchdogFindings({ watchdog, board }: Seen): Finding[] {
  if (!watchdog)
    return board.generic
      ? []
      : [
          {
            check: 'watchdog',
            severity: 'warn',
            found: 'there is no /dev/watchdog: nothing restarts this machine when it hangs',
            next: 'start with a kernel that has the driver of the board’s watchdog',
          },
        ]
  const { identity, path, maxS, active } = watchdog
  const most = maxS === undefined ? '' : `, up to ${maxS} s`
  const fed = active ? '; somebody feeds it already (systemd’s RuntimeWatchdogSec?)' : ''
  return [{ check: 'watchdog', severity: 'ok', found: `${identity ?? path}${most}${fed}` }]
}

/** Wrong only where there is something to attach parts to. */
function groupFindings({ groups, headers }: Seen, { uses }: Known): Finding[] {
  const { missing } = groups
  if (missing.length === 0)
    return [{ check: 'groups', severity: 'ok', found: 'this user may use every device node that there is' }]
  const nodes = missing.flatMap((one) => one.nodes)
  const found = `this user may not use ${nodes.slice(0, 4).join(', ')}${nodes.length > 4 ? ` and ${nodes.length - 4} more` : ''}`
  if (headers.length === 0 && uses.parts.length === 0)
    return [{ check: 'groups', severity: 'ok', found: `${found}, and nothing is configured that needs them` }]
  const names = missing.map(({ group }) => group).filter((group) => group !== 'root')
  const next =
    names.length > 0
      ? `sudo usermod -aG ${names.join(',')} $USER, then log in again`
      : 'they belong to root alone: give them to a group with a udev rule'
  return [{ check: 'groups', severity: 'warn', found, next }]
}
