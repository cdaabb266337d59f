/**
 * Text as Minecraft writes it: § formatting codes, the terminal's ANSI colour
 * sequences, and the "[12:00:00] [Server thread/INFO]: …" of a log line.
 * Pure functions.
 */

/**
 * @typedef {object} Segment
 * @property {string} text
 * @property {string} colour   one of 0-9a-f (Minecraft's sixteen), or ""
 * @property {boolean} bold
 * @property {boolean} italic
 * @property {boolean} underline
 * @property {boolean} strike
 */

/* SGR 30-37 and 90-97 as the nearest of Minecraft's sixteen colours. */
const ANSI_DARK = ['0', '4', '2', '6', '1', '5', '3', '7'];
const ANSI_BRIGHT = ['8', 'c', 'a', 'e', '9', 'd', 'b', 'f'];

const PLAIN = { colour: '', bold: false, italic: false, underline: false, strike: false };

/* A § code, a CSI sequence, another escape sequence, or a control character
 * that a terminal would act upon. */
const CODES =
    // eslint-disable-next-line no-control-regex
    /§([0-9a-fk-or])|\x1b\[([0-9;:?]*)([@-~])|\x1b[@-Z\\-_]|[\x00-\x08\x0b-\x1f\x7f]/gi;

/**
 * Cuts text into pieces of one style each; codes and control characters are
 * gone from them.
 *
 * @param {string} text
 * @returns {Segment[]}
 */
export function segments(text) {
    const out = [];
    let style = PLAIN;
    let from = 0;

    const push = (to) => {
        if (to > from) {
            out.push({ text: text.slice(from, to), ...style });
        }
    };

    for (const match of text.matchAll(CODES)) {
        push(match.index);
        from = match.index + match[0].length;

        if (match[1] !== undefined) {
            style = applySection(style, match[1].toLowerCase());
        } else if (match[3] === 'm') {
            style = applySgr(style, match[2]);
        }
    }

    push(text.length);
    return out;
}

/**
 * @param {typeof PLAIN} style
 * @param {string} code
 */
function applySection(style, code) {
    switch (code) {
    case 'k':
        return style;                   /* "obfuscated": shown as it is */
    case 'l':
        return { ...style, bold: true };
    case 'm':
        return { ...style, strike: true };
    case 'n':
        return { ...style, underline: true };
    case 'o':
        return { ...style, italic: true };
    case 'r':
        return PLAIN;
    default:
        return { ...PLAIN, colour: code };  /* a colour ends all styles */
    }
}

/**
 * @param {typeof PLAIN} style
 * @param {string} params
 */
function applySgr(style, params) {
    let next = style;

    for (const param of params === '' ? ['0'] : params.split(/[;:]/)) {
        const n = Number(param);

        if (n === 0) {
            next = PLAIN;
        } else if (n === 1) {
            next = { ...next, bold: true };
        } else if (n === 3) {
            next = { ...next, italic: true };
        } else if (n === 4) {
            next = { ...next, underline: true };
        } else if (n === 22) {
            next = { ...next, bold: false };
        } else if (n >= 30 && n <= 37) {
            next = { ...next, colour: ANSI_DARK[n - 30] };
        } else if (n >= 90 && n <= 97) {
            next = { ...next, colour: ANSI_BRIGHT[n - 90] };
        } else if (n === 38 || n === 48) {
            break;                          /* 256 colours: not followed */
        } else if (n === 39) {
            next = { ...next, colour: '' };
        }
    }

    return next;
}

/**
 * The text without any codes.
 *
 * @param {string} text
 */
export function plain(text) {
    return text.replace(CODES, '');
}

const LOG_LINE = /^\[(?:\d\d\w{3}\d{4} )?(\d\d:\d\d:\d\d)(?:\.\d+)?\]? ?\[?(?:([^\]/]+)\/)?(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL)\](?: \[[^\]]+\])*:? ?(.*)$/s;

/**
 * Takes a log line apart. A line of another form has level "" and is all
 * text.
 *
 * @param {string} line
 * @returns {{clock: string, thread: string, level: ''|'info'|'warn'|'error'|'debug', text: string}}
 */
export function parseLogLine(line) {
    const match = LOG_LINE.exec(line);

    if (match === null) {
        return { clock: '', thread: '', level: '', text: line };
    }

    const level = {
        TRACE: 'debug', DEBUG: 'debug', INFO: 'info', WARN: 'warn',
        WARNING: 'warn', ERROR: 'error', FATAL: 'error',
    }[match[3]];

    return { clock: match[1], thread: match[2] ?? '', level, text: match[4] };
}

/** Anything that looks like the second half of a stack trace. */
export const isContinuation = (line) => /^(\s+at |\s+\.\.\. \d+ more|Caused by: )/.test(line);
