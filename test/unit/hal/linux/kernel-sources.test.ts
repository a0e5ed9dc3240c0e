/** Host sensors that appear because a kernel driver measures something. */
import { expect, test } from 'vitest'
import { boards } from '../../../../boards/index.ts'
import type { OpenBoard } from '../../../../hal/contract/board.ts'
import { createHal } from '../../../../hal/index.ts'
import { testHost } from '../host.ts'
import { never, useFiles } from './files.ts'

const files = useFiles()
const hwmon = 'sys/class/hwmon/hwmon0'
const iio = 'sys/bus/iio/devices/iio:device0'

async function open() {
  const { host, lines } = testHost()
  const [proc, sys, dev] = ['proc', 'sys', 'dev'].map((name) => files().path(name)) as [
    string,
    string,
    string,
  ]
  const board = await createHal(boards).openBoard(
    { hostSensors: true, roots: { proc, sys, dev } },
    host,
    never,
  )
  return { board, lines }
}

function find(board: OpenBoard, ending: string) {
  return board.sensors.find(({ info }) => info.id.endsWith(ending))
}

test('under-voltage of a Raspberry Pi is a problem that is on or off', async () => {
  files().write({ [`${hwmon}/name`]: 'rpi_volt\n', [`${hwmon}/in0_lcrit_alarm`]: '0\n' })
  const { board } = await open()
  await using _ = board
  const sensor = find(board, '_under_voltage')
  expect(sensor?.info).toMatchObject({ kind: 'binary_sensor', deviceClass: 'problem', simulated: false })
  expect(sensor?.info.id).toMatch(/^binary_sensor\./)
  expect(sensor?.current().state).toBe('off')
  files().write({ [`${hwmon}/in0_lcrit_alarm`]: '1\n' })
  expect((await sensor?.sample(never))?.state).toBe('on')
})

test('the power of each rail of a Jetson is a sensor in watts', async () => {
  files().write({
    [`${hwmon}/name`]: 'ina3221\n',
    [`${hwmon}/in1_label`]: 'VDD_CPU_GPU_CV\n',
    [`${hwmon}/in1_input`]: '5000\n',
    [`${hwmon}/curr1_input`]: '800\n',
  })
  const { board } = await open()
  await using _ = board
  const sensor = find(board, '_power_vdd_cpu_gpu_cv')
  expect(sensor?.info).toMatchObject({ kind: 'sensor', deviceClass: 'power', unit: 'W' })
  expect(sensor?.current().state).toBe('4')
})

test('every channel of an IIO device with a known quantity is a sensor, the others are not', async () => {
  files().write({
    [`${iio}/name`]: 'bme280\n',
    [`${iio}/in_temp_input`]: '21534\n',
    [`${iio}/in_humidityrelative_input`]: '45123\n',
    [`${iio}/in_accel_x_raw`]: '1\n',
  })
  const { board } = await open()
  await using _ = board
  expect(find(board, '_bme280_temp')?.current()).toMatchObject({
    state: '21.53',
    attributes: { device_class: 'temperature', unit_of_measurement: '°C' },
  })
  expect(find(board, '_bme280_humidityrelative')?.current().state).toBe('45.1')
  expect(find(board, '_accel_x')).toBeUndefined()
})

test('an IIO part that does not answer is said and left out; the others open', async () => {
  files().write({
    [`${iio}/name`]: 'adc\n',
    [`${iio}/in_voltage0_raw`]: '',
    [`${iio}/in_voltage1_raw`]: '7\n',
  })
  const { board, lines } = await open()
  await using _ = board
  expect(find(board, '_adc_voltage0')).toBeUndefined()
  expect(find(board, '_adc_voltage1')?.current().state).toBe('0.007')
  expect(lines).toContainEqual(expect.objectContaining({ level: 'warn', message: 'host sensor left out' }))
})
