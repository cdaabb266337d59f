/**
 * The lines of one server's console: bounded, in order, without repetitions.
 * It outlives the view, so that coming back to a console asks only for what
 * came in between. No DOM.
 */

import { compareCursors } from './client.js';

/**
 * @typedef {object} Entry
 * @property {number} key    grows; identifies the entry for a view
 * @property {'line'|'gap'|'command'|'output'|'error'} kind
 * @property {string} time   RFC 3339
 * @property {string} text
 * @property {string} [stream]
 */

export const MAX_ENTRIES = 2000;

export class LogBuffer {
    /** @param {number} [limit] */
    constructor(limit = MAX_ENTRIES) {
        this.limit = limit;
        /** @type {Entry[]} */
        this.entries = [];
        /** @type {string|null} */
        this.cursor = null;
        this.nextKey = 1;
        this.trimmed = false;
        /** @type {Set<() => void>} */
        this.listeners = new Set();
    }

    /**
     * A "logs" event from the socket.
     *
     * @param {{seq: string, time: string, data: {line: string, stream?: string}}} event
     */
    receive(event) {
        if (this.cursor !== null && compareCursors(event.seq, this.cursor) <= 0) {
            return;
        }

        this.cursor = event.seq;
        this.#add({ kind: 'line', time: event.time, text: String(event.data?.line ?? ''),
                    stream: event.data?.stream });
    }

    /**
     * A "gap" message. A gap before the first line only says that history is
     * bounded, which the top of the console says anyway.
     */
    receiveGap() {
        if (this.entries.some((entry) => entry.kind === 'line')) {
            this.add('gap', 'Some lines are missing here: they were no longer kept when the connection came back.');
        } else {
            this.trimmed = true;
        }
    }

    /**
     * Something of our own: a command, its output, an error.
     *
     * @param {Entry['kind']} kind
     * @param {string} text
     */
    add(kind, text) {
        this.#add({ kind, text, time: new Date().toISOString() });
    }

    clear() {
        this.entries = [];
        this.trimmed = true;
        this.#changed();
    }

    /** @param {() => void} fn */
    watch(fn) {
        this.listeners.add(fn);
        return () => this.listeners.delete(fn);
    }

    /** @param {Omit<Entry, 'key'>} entry */
    #add(entry) {
        this.entries.push({ key: this.nextKey++, ...entry });
        if (this.entries.length > this.limit) {
            this.entries.splice(0, this.entries.length - this.limit);
            this.trimmed = true;
        }

        this.#changed();
    }

    #changed() {
        for (const fn of this.listeners) {
            fn();
        }
    }
}

/** Commands typed before, as a shell keeps them. */
export class History {
    /** @param {string[]} [items] */
    constructor(items = []) {
        this.items = items;
        this.place = items.length;
        this.draft = '';
    }

    /** @param {string} command */
    push(command) {
        if (this.items.at(-1) !== command) {
            this.items.push(command);
            this.items.splice(0, this.items.length - 100);
        }

        this.place = this.items.length;
        this.draft = '';
    }

    /**
     * @param {-1|1} step   older or newer
     * @param {string} current   what stands in the field now
     * @returns {string|null} null: there is nothing further
     */
    move(step, current) {
        const next = this.place + step;

        if (next < 0 || next > this.items.length) {
            return null;
        }

        if (this.place === this.items.length) {
            this.draft = current;
        }

        this.place = next;
        return next === this.items.length ? this.draft : this.items[next];
    }
}
