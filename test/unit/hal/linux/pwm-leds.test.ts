/** PWM and LEDs in made-up trees of sysfs: what goes wrong. What goes right is in the umockdev tests. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ledOf, listLeds, openLedDigital, openLedPwm } from '../../../../hal/linux/leds.ts'
import { openPwm } from '../../../../hal/linux/pwm.ts'

let sys: string
beforeEach(() => {
  sys = mkdtempSync(path.join(os.tmpdir(), 'ganglion-sysfs-'))
})
afterEach(() => rmSync(sys, { recursive: true, force: true }))

function tree(folder: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(path.join(sys, folder), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(sys, folder, name), text)
}

const text = (file: string) => readFileSync(path.join(sys, file), 'utf8')

const servo = {
  pwm: { pin: 12, device: '1f00098000.pwm', channel: 2, enable: 'add dtoverlay=pwm-2chan' },
  name: 'GPIO18',
  hz: 50,
}

function pwmChip(channel: Readonly<Record<string, string>>): void {
  tree('class/pwm/pwmchip3', { export: '', unexport: '' })
  symlinkSync('../../../1f00098000.pwm', path.join(sys, 'class/pwm/pwmchip3/device'))
  tree('class/pwm/pwmchip3/pwm2', { period: '0', duty_cycle: '0', enable: '0', ...channel })
}

test('a PWM whose controller is off says what turns it on', () => {
  tree('class/pwm/pwmchip0', {})
  symlinkSync('../../../other.pwm', path.join(sys, 'class/pwm/pwmchip0/device'))
  expect(() => openPwm({ ...servo, sys })).toThrow('PWM on GPIO18 is off: add dtoverlay=pwm-2chan')
})

test('a controller without polarity is used as it is', () => {
  pwmChip({})
  const pwm = openPwm({ ...servo, sys })
  pwm.write(65_535 / 5)
  expect(text('class/pwm/pwmchip3/pwm2/duty_cycle')).toBe('4000000')
  expect(pwm.read?.()).toBe(65_535 / 5)
})

test('a fast PWM has only the steps that its period has nanoseconds for', () => {
  pwmChip({})
  const pwm = openPwm({ ...servo, hz: 1_000_000, sys })
  expect(pwm.resolution).toBe(9)
  pwm.write(511)
  expect(text('class/pwm/pwmchip3/pwm2/duty_cycle')).toBe('1000')
})

test('a duty or a frequency that cannot be is refused, and closed is closed', () => {
  pwmChip({})
  expect(() => openPwm({ ...servo, hz: 0, sys })).toThrow('0 Hz is no frequency')
  const pwm = openPwm({ ...servo, sys })
  for (const duty of [-1, 65_536, Number.NaN])
    expect(() => pwm.write(duty)).toThrow(`duty ${duty} is not 0 to 65535`)
  pwm.close()
  pwm.close()
  expect(text('class/pwm/pwmchip3/unexport')).toBe('2')
  expect(() => pwm.write(0)).toThrow('PWM on GPIO18 is closed')
  expect(() => pwm.read?.()).toThrow('PWM on GPIO18 is closed')
})

test('a pin names an LED by its prefix only', () => {
  expect([ledOf('led:ACT'), ledOf('led:beaglebone:green:usr0'), ledOf('GPIO17'), ledOf(11)]).toEqual([
    'ACT',
    'beaglebone:green:usr0',
    undefined,
    undefined,
  ])
})

test('an LED that is not there names those that are', () => {
  expect(listLeds(sys)).toEqual([])
  tree('class/leds/PWR', { brightness: '0', max_brightness: '1' })
  expect(() => openLedDigital(sys, 'ACT', { pin: 'led:ACT', mode: 'output' })).toThrow(
    'there is no LED ACT, there are: PWR',
  )
  expect(() => openLedDigital(sys, 'PWR', { pin: 'led:PWR', mode: 'input' })).toThrow(
    'LED PWR is an output only',
  )
})

test('an LED without a trigger is driven to its own highest level, or inverted', () => {
  tree('class/leds/PWR', { brightness: '0', max_brightness: '31' })
  const led = openLedDigital(sys, 'PWR', { pin: 'led:PWR', mode: 'output', activeLow: true })
  expect([text('class/leds/PWR/brightness'), led.read()]).toEqual(['31', 0])
  led.write(1)
  expect([text('class/leds/PWR/brightness'), led.read()]).toEqual(['0', 1])
  led.close()
  led.close()
  expect(() => led.write(1)).toThrow('LED PWR is closed')
})

test('a dimmed LED has as many steps as its driver', () => {
  tree('class/leds/ACT', { brightness: '0', max_brightness: '255', trigger: '[none] timer' })
  const led = openLedPwm(sys, 'ACT', 100)
  expect(led.resolution).toBe(8)
  led.write(128)
  expect([text('class/leds/ACT/brightness'), led.read?.()]).toEqual(['128', 128])
  expect(() => led.write(256)).toThrow('duty 256 is not 0 to 255')
})
