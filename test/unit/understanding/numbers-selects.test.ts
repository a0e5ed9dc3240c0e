import { describe, expect, it } from 'vitest'
import { area, did, entity, say } from './home-builder.ts'

const home = {
  areas: [area('garden', 'Garden'), area('hall', 'Hall')],
  entities: [
    entity('number.air_flap', {
      name: 'Air flap',
      state: '30',
      unit: '°',
      range: { min: 0, max: 180, step: 1 },
      area: 'hall',
    }),
    entity('number.pump', {
      name: 'Pump speed',
      state: '10',
      unit: '%',
      range: { min: 0, max: 100, step: 1 },
    }),
    entity('number.tank', {
      name: 'Tank',
      state: 'unknown',
      unit: '°C',
      range: { min: 5, max: 60, step: 0.5 },
    }),
    entity('select.crossing', {
      name: 'Traffic light',
      state: 'red',
      choices: ['red', 'yellow', 'green', 'all_off', 'off'],
      area: 'garden',
    }),
    entity('light.hall', { name: 'Hall light', state: 'off', features: ['brightness', 'rgb'], area: 'hall' }),
  ],
}

const table = (name: string, cases: readonly (readonly [text: string, ...expected: string[]])[]) =>
  describe(name, () => {
    it.each(cases)('%s', (text, ...expected) => {
      expect(did(say(home, text))).toEqual([...expected].sort())
    })
  })

table('numbers [understanding-1]', [
  ['set the air flap to 45', 'number.air_flap {"value":45}'],
  ['set the air flap to 45 degrees', 'number.air_flap {"value":45}'],
  ['turn the air flap to forty five degrees', 'number.air_flap {"value":45}'],
  ['air flap to 90', 'number.air_flap {"value":90}'],
  ['set the air flap to 50 percent', 'number.air_flap {"value":90}'],
  ['set the air flap to half', 'number.air_flap {"value":90}'],
  ['set the position of the air flap to 20', 'number.air_flap {"value":20}'],
  ['turn the air flap up by 10', 'number.air_flap {"value":40}'],
  ['turn the air flap down by 50 degrees', 'number.air_flap {"value":0}'],
  ['set the pump speed to 70 percent', 'number.pump {"value":70}'],
  ['set the tank to 21.5 degrees', 'number.tank {"value":21.5}'],
  [
    'set the air flap to 20 and turn on the hall light',
    'light.hall {"state":"on"}',
    'number.air_flap {"value":20}',
  ],
  ['set the air flap to 200', 'refusal: Air flap goes from 0 to 180°, not 200°.'],
  ['set the tank to 300 kelvin', 'refusal: Tank is set in °C.'],
  ['turn the tank up by 2', 'refusal: Tank does not report its value, so say which.'],
])

table('selects [understanding-1]', [
  ['set the traffic light to red', 'select.crossing {"option":"red"}'],
  ['switch the traffic light to green', 'select.crossing {"option":"green"}'],
  ['set the traffic light in the garden to green', 'select.crossing {"option":"green"}'],
  ['turn the traffic light off', 'select.crossing {"option":"off"}'],
  ['set the traffic light to all off', 'select.crossing {"option":"all_off"}'],
  [
    'set the traffic light to red and the hall light to red',
    'light.hall {"state":"on","rgb_color":[255,0,0]}',
    'select.crossing {"option":"red"}',
  ],
  [
    'set the traffic light to blue',
    'refusal: Traffic light can be set to red, yellow, green, all_off or off only.',
  ],
])

describe('what is beside a number or a select', () => {
  it('leaves a lamp its colours [understanding-1]', () => {
    expect(did(say(home, 'set the hall light to green'))).toEqual([
      'light.hall {"state":"on","rgb_color":[0,128,0]}',
    ])
  })

  it('moves no number because its area was named [understanding-1]', () => {
    expect(did(say(home, 'set the hall to 20 percent'))).toEqual([
      'light.hall {"state":"on","brightness":51}',
    ])
  })

  it('tells what they are [understanding-6]', () => {
    expect(say(home, 'what is the air flap').reply).toContain('30°')
    expect(say(home, 'what is the traffic light').reply).toContain('red')
  })

  it('says what will be true [understanding-1]', () => {
    expect(say(home, 'set the air flap to 45').reply).toBe('Air flap is at 45°.')
    expect(say(home, 'set the traffic light to red').reply).toBe('Traffic light is red.')
  })
})
