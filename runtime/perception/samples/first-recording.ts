/** The recording that the first start plays; the README beside it says whose voice it is. */
export const firstRecording = {
  url: new URL('./turn-on-the-living-room-lamp.wav', import.meta.url),
  name: 'turn-on-the-living-room-lamp.wav',
  /** What it is about. */
  entity: 'light.living_room_lamp',
}
