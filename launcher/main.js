#!/usr/bin/env node
// `./nanoscale` is a link to this file: Node 20.0 to 20.9 refuse a module without an extension.
import { launch } from './launch.js'

await launch(process.argv.slice(2))
