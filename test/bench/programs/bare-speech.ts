/** Runs the bare speech models each time it is asked. */
import { answerParent } from '../answering.ts'
import { BareSpeech } from '../bare-speech.ts'

const bare = await BareSpeech.open(new AbortController().signal)
answerParent(() => bare.run())
