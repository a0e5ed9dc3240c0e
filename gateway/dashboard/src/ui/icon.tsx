/** Line icons drawn for this page, 24 × 24. Decoration only: whatever an icon says, words beside it say too. */

const paths = {
  light: 'M9 18h6M10 21h4M12 3a6 6 0 0 0-3.6 10.8c.7.6 1.1 1.3 1.1 2.2h5c0-.9.4-1.6 1.1-2.2A6 6 0 0 0 12 3Z',
  switch: 'M12 3v8M7.1 6.3a8 8 0 1 0 9.8 0',
  fan: 'M12 12m-1.5 0a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0-3 0M12 10.5C11 7 12 3.5 15 3.5s2.500 5-1.700 7.700M13.300 12.800c3.500.8 6 3.400 4.500 6s-5.600-.4-5.800-5.300M10.600 12.500C8 15 4.600 15.800 3.200 13.200s3.200-4.600 7.500-2.200',
  cover: 'M4 4h16M5 4v16M19 4v16M5 8h14M5 12h14M5 16h14',
  valve: 'M4 15h16M7 15V9l10 6V9L7 15M12 12V5M9 5h6',
  lock: 'M6 11h12v9H6zM8.500 11V8a3.500 3.500 0 0 1 7 0v3',
  climate: 'M10 14.500V5a2 2 0 1 1 4 0v9.500a4 4 0 1 1-4 0M12 9v8',
  media_player:
    'M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0M19 16a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0',
  vacuum:
    'M12 12m-8.500 0a8.500 8.500 0 1 0 17 0a8.500 8.500 0 1 0-17 0M12 12m-2.500 0a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0M5 8h14',
  todo: 'M4 6l1.500 1.500L8 5M4 12l1.500 1.500L8 11M4 18l1.500 1.500L8 17M11 6.500h9M11 12.500h9M11 18.500h9',
  number: 'M4 12h16M14 9v6',
  select: 'M5 7h14M5 12h14M5 17h8M16 16l2 2 2-2',
  sensor: 'M4 18a9 9 0 1 1 16 0M12 15l4-5',
  binary_sensor:
    'M12 12m-2.500 0a2.500 2.500 0 1 0 5 0a2.500 2.500 0 1 0-5 0M7 17a7 7 0 0 1 0-10M17 7a7 7 0 0 1 0 10',
  weather: 'M7 18a4 4 0 0 1 .5-8a5 5 0 0 1 9.500 1.500A3.300 3.300 0 0 1 16.500 18Z',
  done: 'M5 12.500l4.500 4.500L19 7.500',
  failed: 'M6.500 6.500l11 11M17.500 6.500l-11 11',
  refused: 'M12 12m-8.500 0a8.500 8.500 0 1 0 17 0a8.500 8.500 0 1 0-17 0M6 6l12 12',
  question: 'M8 8.500a4 4 0 1 1 6.200 3.300c-1.400.9-2.200 1.700-2.200 3.200M12 19v.01',
  pending: 'M12 12m-8.500 0a8.500 8.500 0 1 0 17 0a8.500 8.500 0 1 0-17 0M12 7v5l3 2',
  microphone:
    'M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3ZM5.500 11a6.500 6.500 0 0 0 13 0M12 17.500V21',
  stop: 'M7 7h10v10H7z',
  file: 'M12 15V4M8 8l4-4 4 4M5 15v4h14v-4',
  send: 'M5 12h14M13 6l6 6-6 6',
} as const

export type IconName = keyof typeof paths

export function iconOf(kind: string): IconName {
  return kind in paths ? (kind as IconName) : 'sensor'
}

export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  )
}
