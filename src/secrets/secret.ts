export { REDACTED, Secret } from '../lib/secret.ts'
