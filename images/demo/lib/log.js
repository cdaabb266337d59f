'use strict'
/*
 * Lines as the vanilla server prints them:
 *
 *     [08:46:11] [Server thread/INFO]: Done (0.347s)! For help, type "help"
 */

/* Text without terminal escapes and section-sign colours, on one line: what a
 * player writes must not be able to forge a line of the log. */
function plain (text) {
  return String(text)
    .replace(/\x1b\[[0-9;]*[A-Za-z]/g, '')
    .replace(/\u00a7./g, '')
    .replace(/[\x00-\x1f\x7f\u2028\u2029]/g, ' ')
}

function write (level, text, thread = 'Server thread') {
  const time = new Date().toISOString().slice(11, 19)
  process.stdout.write(`[${time}] [${thread}/${level}]: ${plain(text)}\n`)
}

/* An error with its stack, a line of the log for each line of it. */
function error (what, err) {
  const lines = String((err && err.stack) || err).split('\n')
  write('ERROR', `${what}: ${lines.shift()}`)
  lines.forEach(line => write('ERROR', line))
}

module.exports = {
  plain,
  info: (text, thread) => write('INFO', text, thread),
  warn: (text, thread) => write('WARN', text, thread),
  error
}
