/** What devices say to each other about moves, by kind. */
import type { MoveBody } from '../../wire/move.ts'

export type Said<Kind extends MoveBody['kind']> = Extract<MoveBody, { kind: Kind }>
/** Without whom it is said to. */
export type Word = MoveBody extends infer Body ? (Body extends MoveBody ? Omit<Body, 'to'> : never) : never
