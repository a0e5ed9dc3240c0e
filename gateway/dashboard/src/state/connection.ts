/** Whether what this page shows is live. */
import { signal } from '@preact/signals'

export type Connection = 'connecting' | 'live' | 'lost'

export const connection = signal<Connection>('connecting')
