/** Every board, most specific first. To add one, write its file and put it here. */
import type { Board } from '../hal/contract/board.ts'
import { beaglePlay } from './beagle-beagleplay.board.ts'
import { genericArm64 } from './generic-arm64.board.ts'
import { genericX64 } from './generic-x64.board.ts'
import { jetsonAgxOrin } from './nvidia-jetson-agx-orin.board.ts'
import { jetsonNano } from './nvidia-jetson-nano.board.ts'
import { jetsonOrinNano } from './nvidia-jetson-orin-nano.board.ts'
import { jetsonOrinNx } from './nvidia-jetson-orin-nx.board.ts'
import { jetsonXavierNx } from './nvidia-jetson-xavier-nx.board.ts'
import { rock5b } from './radxa-rock-5b.board.ts'
import { raspberryPi3b } from './raspberrypi-3b.board.ts'
import { raspberryPi3bPlus } from './raspberrypi-3b-plus.board.ts'
import { raspberryPi4b } from './raspberrypi-4b.board.ts'
import { raspberryPi5 } from './raspberrypi-5.board.ts'
import { raspberryPiCm4 } from './raspberrypi-cm4.board.ts'
import { raspberryPiCm5 } from './raspberrypi-cm5.board.ts'
import { raspberryPiZero2w } from './raspberrypi-zero-2w.board.ts'
import { simRaspberryPi5 } from './sim-raspberrypi-5.board.ts'
import { orangePi5 } from './xunlong-orangepi-5.board.ts'
import { orangePi5Plus } from './xunlong-orangepi-5-plus.board.ts'

export const boards: readonly Board[] = [
  raspberryPi5,
  raspberryPiCm5,
  raspberryPi4b,
  raspberryPiCm4,
  raspberryPi3bPlus,
  raspberryPi3b,
  raspberryPiZero2w,
  jetsonAgxOrin,
  jetsonOrinNx,
  jetsonOrinNano,
  jetsonXavierNx,
  jetsonNano,
  rock5b,
  orangePi5Plus,
  orangePi5,
  beaglePlay,
  genericArm64,
  genericX64,
  simRaspberryPi5,
]
