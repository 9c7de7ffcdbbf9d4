/** The admin client without the others. */
export { Admin } from './admin.ts'
