/** The other end of a Worker, in the measured program: says that it is ready, answers one question after another. */
import { messageOf } from '../../runtime/base/errors.ts'

/** Answers until the parent closes the channel. A failed answer is told to the parent, which decides. */
export function answerParent<Question>(answer: (question: Question) => Promise<object>): void {
  process.on('message', (question) => {
    answer(question as Question)
      .catch((error): object => ({ failure: messageOf(error) }))
      .then((message) => process.send?.(message))
  })
  process.once('disconnect', () => process.exit(0))
  process.send?.({ ready: true })
}
