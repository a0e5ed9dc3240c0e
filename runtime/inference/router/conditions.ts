/** The state of this device that matters to where a model should run, and what it means in words. */

export interface Conditions {
  /** Hottest sensor of the processor. */
  readonly tempC?: number
  /** The kernel or the firmware has lowered the clock. */
  readonly throttled?: boolean
  /** Absent: mains. */
  readonly power?: 'mains' | 'battery' | 'unknown'
  readonly batteryPercent?: number
  /** Memory that a model may have here once what may be unloaded is, megabytes. */
  readonly memoryFreeMb?: number
}

/** Under this much charge every joule counts several times. */
export const batteryLowPercent = 20

export function isHot({ tempC, throttled }: Conditions, hotC: number): boolean {
  return throttled === true || (tempC !== undefined && tempC >= hotC)
}

export function isLow({ power, batteryPercent }: Conditions): boolean {
  return power === 'battery' && batteryPercent !== undefined && batteryPercent < batteryLowPercent
}

/** For `ganglion why`; nothing where all is as usual. */
export function describe(conditions: Conditions, hotC: number): string[] {
  const { tempC, throttled, power, batteryPercent, memoryFreeMb } = conditions
  const lines: string[] = []
  if (tempC !== undefined && tempC >= hotC) lines.push(`hot: ${Math.round(tempC)} °C`)
  if (throttled) lines.push('slowed down by heat or a weak power supply')
  if (power === 'battery')
    lines.push(
      batteryPercent === undefined ? 'on battery' : `on battery, ${Math.round(batteryPercent)} % left`,
    )
  if (memoryFreeMb !== undefined) lines.push(`${Math.round(memoryFreeMb)} MB free for models`)
  return lines
}
