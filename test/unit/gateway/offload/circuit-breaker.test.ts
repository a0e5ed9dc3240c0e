/** A backend that fails is left alone, tried again, and used again: on a virtual clock. Numbers are those of gateway/offload. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { CircuitBreaker, circuitDefaults } from '../../../../gateway/offload/circuit-breaker.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'

let clock: VirtualClock
let circuit: CircuitBreaker
beforeEach(() => {
  clock = new VirtualClock()
  circuit = new CircuitBreaker(clock)
})
const fail = (times = 1) => {
  for (let n = 0; n < times; n += 1) circuit.enter()?.failed()
}
const succeed = (times = 1) => {
  for (let n = 0; n < times; n += 1) circuit.enter()?.succeeded()
}

describe('[serving-4] closed', () => {
  test('four failures in a row change nothing, the fifth opens it', () => {
    fail(4)
    expect(circuit.state).toBe('closed')
    fail()
    expect([circuit.state, circuit.closedForMs, circuit.enter()]).toEqual(['open', 5_000, undefined])
  })

  test('it stays closed while most of the last results are good', () => {
    for (let round = 0; round < 50; round += 1) {
      succeed(3)
      fail(2)
    }
    expect(circuit.state).toBe('closed')
  })

  test('old successes do not hide that it fails now: only the last 20 results count', () => {
    succeed(1000)
    fail(10)
    expect(circuit.state).toBe('open')
  })

  test('what was cancelled, or a result told twice, says nothing', () => {
    for (let n = 0; n < 100; n += 1) circuit.enter()?.abandoned()
    const pass = circuit.enter()
    pass?.succeeded()
    for (let n = 0; n < 100; n += 1) pass?.failed()
    expect(circuit.state).toBe('closed')
  })
})

describe('[serving-4] open', () => {
  beforeEach(() => fail(5))

  test('after its time one trial passes, and no second beside it', () => {
    clock.advance(4_999)
    expect(circuit.enter()).toBeUndefined()
    clock.advance(1)
    expect(circuit.state).toBe('half-open')
    expect(circuit.enter()).toBeDefined()
    expect(circuit.enter()).toBeUndefined()
  })

  test('a good trial closes it, and it takes five failures to open again', () => {
    clock.advance(5_000)
    succeed()
    expect(circuit.state).toBe('closed')
    fail(4)
    expect(circuit.state).toBe('closed')
  })

  test('each failed trial doubles its time, to a minute at most; a good one starts over', () => {
    const waits: number[] = []
    for (let n = 0; n < 6; n += 1) {
      waits.push(circuit.closedForMs)
      clock.advance(circuit.closedForMs)
      fail()
    }
    expect(waits).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000])
    clock.advance(60_000)
    succeed()
    fail(5)
    expect(circuit.closedForMs).toBe(circuitDefaults.openMs)
  })

  test('a trial that was cancelled makes room for the next', () => {
    clock.advance(5_000)
    circuit.enter()?.abandoned()
    expect(circuit.enter()).toBeDefined()
  })
})

test('[serving-4] what began before it opened neither closes it nor opens it again', () => {
  const early = Array.from({ length: 5 }, () => circuit.enter())
  fail(5)
  early[0]?.succeeded()
  expect(circuit.state).toBe('open')
  clock.advance(5_000)
  circuit.enter()?.succeeded()
  for (const pass of early) pass?.failed()
  expect(circuit.state).toBe('closed')
})

test('[serving-4] whatever happens, it is never open for more than a minute, and then something passes', () => {
  const step = fc.record({
    waitMs: fc.nat(20_000),
    outcome: fc.constantFrom('succeeded', 'failed', 'abandoned'),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const time = new VirtualClock()
      const one = new CircuitBreaker(time)
      for (const { waitMs, outcome } of steps) {
        time.advance(waitMs)
        one.enter()?.[outcome as 'failed']()
        expect(one.closedForMs).toBeLessThanOrEqual(60_000)
      }
      time.advance(60_000)
      expect(one.enter()).toBeDefined()
    }),
  )
})
