/** PWM on emulated lines: the part hears the duty as a fraction; the handle can be read back, as sysfs can. */
import { HalError } from '../../contract/errors.ts'
import type { Pwm, PwmOptions } from '../../contract/io.ts'
import { releaseLine, takeLine } from './emulated-digital.ts'
import type { EmulatedLine } from './emulated-line.ts'

const resolution = 16
const full = 2 ** resolution - 1

export function openPwm(line: EmulatedLine, options: PwmOptions): Pwm {
  const { hz } = options
  if (!(hz > 0 && hz <= 1e6))
    throw new HalError('out-of-range', `pin ${line.name}: ${hz} Hz is not between 0 and 1 MHz`)
  takeLine(line, 'pwm')
  let duty = 0
  let open = true
  const check = () => {
    if (!open) throw new HalError('closed', `pin ${line.name} is closed`)
  }
  line.setDuty(0, hz)
  return {
    resolution,
    hz,
    write(value) {
      check()
      if (!Number.isInteger(value) || value < 0 || value > full)
        throw new HalError('out-of-range', `pin ${line.name}: duty ${value} is not between 0 and ${full}`)
      duty = value
      line.setDuty(value / full, hz)
    },
    read() {
      check()
      return duty
    },
    close() {
      if (!open) return
      open = false
      line.setDuty(0, hz)
      releaseLine(line)
    },
  }
}
