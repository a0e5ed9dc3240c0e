/** Where the demonstration homes are. One place, because a bundle lays files out differently: it keeps `homes/` beside itself. */
export const firstHomeUrl: URL = new URL('./homes/first-home.yaml', import.meta.url)
/** The one that several devices share. */
export const sharedHomeUrl: URL = new URL('./homes/three-rooms.yaml', import.meta.url)
