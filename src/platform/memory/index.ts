export { memoryFiles } from './files.ts'
