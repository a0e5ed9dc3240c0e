/**
 * The program cannot be loaded: its text is wrong, it is no agent, or it takes too much to load. It is beside the machine, not in
 * it: whoever only hears of the error need not load the engine.
 */
export class ProgramError extends Error {
  override readonly name = 'ProgramError'
}
