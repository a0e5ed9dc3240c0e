/** What a device loads when it has an agent, and not before: a megabyte of memory. */
export { Agents } from './agents.ts'
export { AgentsTold } from './agents-told.ts'
export { adopted, openBundle } from './bundle/bundle.ts'
export { openMind } from './mind.ts'
export { askService } from './permissions/ask.service.ts'
export { openSchedule } from './scheduler/device-schedule.ts'
export { ToolServers } from './tool-servers/tool-servers.ts'
