/** How long simulated hardware takes, milliseconds. One table, so that a simulation's pace can be judged at a glance. */
export const times = {
  /** A report that confirms a command; one radio round trip of a Zigbee or Wi-Fi device. */
  answerMs: 50,
  /** Lamp and relay: round trip plus switching; people see under 100 ms as at once. */
  lightMs: 80,
  switchMs: 60,
  /** Fan electronics answer fast; blades turn later and are not measured. */
  fanMs: 120,
  /** A thermostat writes its set point and reports back. */
  climateMs: 200,
  /** Players wake a decoder. */
  mediaPlayerMs: 250,
  /** A list is only storage. */
  todoMs: 40,
  /** Motor lock: bolt travel. */
  lockTravelMs: 600,
  /** Curtain, blind or garage door from end to end. Real ones take 8 to 25 s; 8 keeps a demonstration watchable. */
  coverTravelMs: 8000,
  /** Motor ball valve from end to end. */
  valveTravelMs: 3000,
  /** How often a moving cover or valve reports its position. */
  positionReportMs: 500,
  /** A vacuum wakes its motors. */
  vacuumMs: 300,
  /** A vacuum's way home. */
  vacuumReturnMs: 60_000,
} as const
