/** Thermal zones, rails and alarms, against made-up files of the kernel. */
import { expect, test } from 'vitest'
import { readPower, readThermal } from '../../../../hal/index.ts'
import { readRails } from '../../../../hal/linux/hwmon.ts'
import { useFiles } from './files.ts'

const files = useFiles()
const thermal = 'sys/class/thermal/thermal_zone'

test("a zone is judged by the board's limits, found by its type and not by its number", async () => {
  files().write({
    [`${thermal}4/type`]: 'cpu-thermal\n',
    [`${thermal}4/temp`]: '81250\n',
    [`${thermal}0/type`]: 'gpu-thermal\n',
    [`${thermal}0/temp`]: '40000\n',
  })
  const limits = [{ type: 'cpu-thermal', warnC: 80, criticalC: 85 }]
  expect(await readThermal(files().path('sys'), limits)).toEqual([
    { type: 'gpu-thermal', tempC: 40, verdict: 'ok' },
    { type: 'cpu-thermal', tempC: 81.25, verdict: 'warm', warnC: 80, criticalC: 85 },
  ])
})

test("without limits of the board the kernel's trip points judge, those left unset do not", async () => {
  files().write({
    [`${thermal}0/type`]: 'x86_pkg_temp',
    [`${thermal}0/temp`]: '105000',
    [`${thermal}0/trip_point_0_type`]: 'critical',
    [`${thermal}0/trip_point_0_temp`]: '100000',
    [`${thermal}0/trip_point_1_type`]: 'passive',
    [`${thermal}0/trip_point_1_temp`]: '-274000',
  })
  expect(await readThermal(files().path('sys'), [])).toEqual([
    { type: 'x86_pkg_temp', tempC: 105, verdict: 'critical', criticalC: 100 },
  ])
})

test('a zone that is disabled has no reading and is left out; without zones there is none', async () => {
  expect(await readThermal(files().path('sys'), [])).toEqual([])
  files().write({ [`${thermal}0/type`]: 'cpu-thermal' })
  expect(await readThermal(files().path('sys'), [])).toEqual([])
})

test('the rails of a Jetson have label, volts, amperes and their product; sums without a current are no rails', async () => {
  files().write({
    'sys/class/hwmon/hwmon3/name': 'ina3221\n',
    'sys/class/hwmon/hwmon3/in1_label': 'VDD_IN\n',
    'sys/class/hwmon/hwmon3/in1_input': '5040\n',
    'sys/class/hwmon/hwmon3/curr1_input': '1200\n',
    'sys/class/hwmon/hwmon3/in7_input': '3\n',
    'sys/class/hwmon/hwmon0/name': 'cpu\n',
    'sys/class/hwmon/hwmon0/curr1_input': '1\n',
  })
  expect(await readRails(files().path('sys'), 'ina3221')).toEqual([
    { chip: 'ina3221', label: 'VDD_IN', volts: 5.04, amperes: 1.2, watts: 6.048 },
  ])
})

const power = [
  { kind: 'under-voltage', name: '5 V supply', hwmon: 'rpi_volt' },
  { kind: 'rail', name: 'rails', hwmon: 'ina3221' },
  { kind: 'throttle', name: 'throttled', path: '/sys/devices/platform/soc/get_throttled' },
] as const

test('under-voltage and throttling are alarms; what the machine lacks says so', async () => {
  files().write({
    'sys/class/hwmon/hwmon1/name': 'rpi_volt\n',
    'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '1\n',
    'sys/devices/platform/soc/get_throttled': '50000\n',
  })
  expect(await readPower(files().path('sys'), power)).toEqual([
    { kind: 'under-voltage', name: '5 V supply', alarm: true },
    { kind: 'rail', name: 'rails', whyNot: 'no hwmon device ina3221' },
    { kind: 'throttle', name: 'throttled', alarm: true },
  ])
})

test('no alarm is false, and not the same as no telemetry', async () => {
  files().write({
    'sys/class/hwmon/hwmon1/name': 'rpi_volt\n',
    'sys/class/hwmon/hwmon1/in0_lcrit_alarm': '0\n',
    'sys/devices/platform/soc/get_throttled': '0x0\n',
  })
  const states = await readPower(files().path('sys'), power)
  expect(states.map((state) => state.alarm)).toEqual([false, undefined, false])
})
