/** Every board, most specific first. To add one, write its file and put it here. */
import type { Board } from '../hal/contract/board.ts'
import { genericArm64 } from './generic-arm64.board.ts'
import { genericX64 } from './generic-x64.board.ts'
import { raspberryPi4b } from './raspberrypi-4b.board.ts'
import { raspberryPi5 } from './raspberrypi-5.board.ts'
import { simRaspberryPi5 } from './sim-raspberrypi-5.board.ts'

export const boards: readonly Board[] = [
  raspberryPi5,
  raspberryPi4b,
  genericArm64,
  genericX64,
  simRaspberryPi5,
]
