/**
 * mchost client: one WebSocket (subprotocol "mchost.v1") for every server.
 *
 * Keeps a connection up (reconnect with full jitter), signs in with the first
 * message, subscribes again after every reconnect and asks for log history
 * from the last line it has seen, so that a console shows no gap and no line
 * twice. No DOM in here: it runs in browsers and in Node.js alike.
 *
 * Events, all by `on(name, fn)`:
 *   state    {state, reason, retryAt}   see LiveState
 *   event    {topic, server, seq, time, data}
 *   gap      {topic, server, from, to}  history that is no longer there
 *   resync   {}                         state may have been missed: read it anew
 *   denied   {code, message}            the key is refused; no more attempts
 */

/**
 * @typedef {'idle'|'connecting'|'online'|'waiting'|'stopped'} LiveState
 *
 * @typedef {object} Subscription
 * @property {string} topic       "status", "logs", …
 * @property {string} server      an id, or "*"
 * @property {string|null} since  cursor of the last event seen; null: no history
 * @property {number} users       how many callers want it
 *
 * @typedef {object} ClientOptions
 * @property {string} url
 * @property {string} token
 * @property {typeof WebSocket} [WebSocket]
 * @property {() => number} [random]      [0, 1)
 * @property {() => number} [now]         milliseconds
 * @property {Timers} [timers]
 *
 * @typedef {object} Timers
 * @property {(fn: () => void, ms: number) => any} set
 * @property {(handle: any) => void} clear
 */

export const SUBPROTOCOL = 'mchost.v1';

const BACKOFF_BASE = 500;
const BACKOFF_CAP = 30000;
const STABLE_AFTER = 10000;     /* a connection this old forgets past failures */
const REQUEST_TIMEOUT = 15000;
const CONNECT_TIMEOUT = 15000;
const QUIET_AFTER = 40000;      /* nothing heard: ask whether anybody is there */
const PONG_TIMEOUT = 10000;

const CLOSE_LEAVING = 1001;
const CLOSE_UNAUTHENTICATED = 4401;
const CLOSE_FORBIDDEN = 4403;

/** An `{"op":"error"}` answer, or a request that got none. */
export class ClientError extends Error {
    /**
     * @param {string} code
     * @param {string} message
     */
    constructor(code, message) {
        super(message);
        this.name = 'ClientError';
        this.code = code;
    }
}

/**
 * Orders two cursors "ms-n", as Redis orders stream ids. Cursors may exceed
 * 2^53, hence the comparison by length and digits.
 *
 * @param {string} a
 * @param {string} b
 * @returns {number} <0, 0 or >0
 */
export function compareCursors(a, b) {
    const [a1, a2 = '0'] = a.split('-');
    const [b1, b2 = '0'] = b.split('-');

    return compareDigits(a1, b1) || compareDigits(a2, b2);
}

/**
 * @param {string} a
 * @param {string} b
 */
function compareDigits(a, b) {
    const x = a.replace(/^0+(?=.)/, '');
    const y = b.replace(/^0+(?=.)/, '');

    return x.length - y.length || (x < y ? -1 : x > y ? 1 : 0);
}

/**
 * Full jitter: anything between now and an exponentially growing limit, so
 * that a thousand clients do not come back in the same instant.
 *
 * @param {number} attempt   0 for the first
 * @param {() => number} random
 * @returns {number} milliseconds
 */
export function backoff(attempt, random) {
    const limit = Math.min(BACKOFF_CAP, BACKOFF_BASE * 2 ** Math.min(attempt, 16));

    return Math.round(random() * limit);
}

export class Client {
    /** @param {ClientOptions} options */
    constructor(options) {
        this.url = options.url;
        this.token = options.token;
        this.Socket = options.WebSocket ?? globalThis.WebSocket;
        this.random = options.random ?? Math.random;
        this.now = options.now ?? Date.now;
        this.timers = options.timers ?? {
            set: (fn, ms) => setTimeout(fn, ms),
            clear: (handle) => clearTimeout(handle),
        };

        /** @type {LiveState} */
        this.state = 'idle';
        this.reason = '';
        this.retryAt = 0;
        this.attempt = 0;
        this.nextId = 1;
        this.socket = null;
        this.timer = null;              /* reconnect */
        this.stableTimer = null;
        this.quietTimer = null;
        /** @type {Map<string, Subscription>} */
        this.subscriptions = new Map();
        /** @type {Map<number, {resolve: Function, reject: Function, timer: any}>} */
        this.requests = new Map();
        /** @type {Map<string, Set<Function>>} */
        this.listeners = new Map();
    }

    /**
     * @param {'state'|'event'|'gap'|'resync'|'denied'} name
     * @param {(detail: any) => void} fn
     * @returns {() => void} takes the listener away again
     */
    on(name, fn) {
        const set = this.listeners.get(name) ?? new Set();

        this.listeners.set(name, set);
        set.add(fn);
        return () => set.delete(fn);
    }

    /** Connects, now; also cuts a wait for the next attempt short. */
    connect() {
        if (this.state === 'connecting' || this.state === 'online') {
            return;
        }

        this.#clear('timer');
        this.#open();
    }

    /** Ends for good; pending requests fail. */
    close() {
        this.#setState('stopped', 'closed');
        this.#clear('timer');
        this.#drop(1000);
    }

    /**
     * Wants a topic of a server (or of all, "*"). The server answers with a
     * snapshot for state topics and, when `since` is given, with history for
     * log topics ("0": all of it that is kept).
     *
     * @param {string} topic
     * @param {string} server
     * @param {string|null} [since]
     * @returns {() => void} not wanted any more
     */
    subscribe(topic, server, since = null) {
        const key = `${topic} ${server}`;
        let sub = this.subscriptions.get(key);

        if (sub === undefined) {
            sub = { topic, server, since, users: 0 };
            this.subscriptions.set(key, sub);
            if (this.state === 'online') {
                this.#sendSubscribe(sub);
            }
        }

        sub.users++;
        let done = false;

        return () => {
            if (done) {
                return;
            }

            done = true;
            sub.users--;
            if (sub.users === 0 && this.subscriptions.get(key) === sub) {
                this.subscriptions.delete(key);
                if (this.state === 'online') {
                    this.request('unsubscribe', { topics: [topic], servers: [server] })
                        .catch(() => {});
                }
            }
        };
    }

    /**
     * Sends `{"op":…,"id":n,…}` and waits for its answer.
     *
     * @param {string} op
     * @param {object} fields
     * @param {number} [timeout]   milliseconds
     * @returns {Promise<any>} the ack, result or pong; fails with ClientError
     */
    request(op, fields = {}, timeout = REQUEST_TIMEOUT) {
        const socket = this.socket;

        if (socket === null || socket.readyState !== 1) {
            return Promise.reject(new ClientError('offline', 'There is no live connection right now.'));
        }

        const id = this.nextId++;

        return new Promise((resolve, reject) => {
            const timer = this.timers.set(() => {
                this.requests.delete(id);
                reject(new ClientError('timeout', 'The server did not answer in time.'));
            }, timeout);

            this.requests.set(id, { resolve, reject, timer });
            socket.send(JSON.stringify({ op, id, ...fields }));
        });
    }

    /**
     * Runs a console command.
     *
     * @param {string} server
     * @param {string} command
     * @returns {Promise<{output: string}>}
     */
    command(server, command) {
        return this.request('command', { server, command });
    }

    /* -- connection -- */

    #open() {
        this.#setState('connecting', '');

        let socket;

        try {
            socket = new this.Socket(this.url, SUBPROTOCOL);
        } catch (error) {
            this.#retry(String(error));
            return;
        }

        this.socket = socket;
        this.timer = this.timers.set(() => this.#lost(socket, 0, 'no answer'), CONNECT_TIMEOUT);

        socket.onopen = () => this.#authenticate(socket);
        socket.onmessage = (event) => {
            if (this.socket === socket) {
                this.#receive(event.data);
            }
        };
        socket.onclose = (event) => this.#lost(socket, event.code, event.reason);
        socket.onerror = () => {};      /* a close event follows */
    }

    /** @param {WebSocket} socket */
    async #authenticate(socket) {
        if (this.socket !== socket) {
            return;
        }

        try {
            await this.request('auth', { token: this.token });

        } catch (error) {
            if (this.socket !== socket) {
                return;
            }

            if (error.code === 'unauthorized' || error.code === 'unauthenticated'
                || error.code === 'forbidden')
            {
                this.#deny(error.code, error.message);
            } else {
                this.#lost(socket, 0, error.message);
            }

            return;
        }

        if (this.socket !== socket) {
            return;
        }

        this.#clear('timer');
        this.stableTimer = this.timers.set(() => { this.attempt = 0; }, STABLE_AFTER);
        this.#setState('online', '');
        this.#heard();
        this.#subscribeAll();
    }

    /**
     * @param {WebSocket} socket
     * @param {number} code
     * @param {string} reason
     */
    #lost(socket, code, reason) {
        if (this.socket !== socket) {
            return;
        }

        this.#drop(0);

        if (code === CLOSE_UNAUTHENTICATED || code === CLOSE_FORBIDDEN) {
            this.#deny(code === CLOSE_FORBIDDEN ? 'forbidden' : 'unauthorized',
                       reason || 'The API key is not accepted.');
            return;
        }

        if (code === CLOSE_LEAVING) {
            this.attempt = 0;           /* an orderly reload: come back soon */
        }

        this.#retry(reason);
    }

    /** @param {string} reason */
    #retry(reason) {
        const delay = backoff(this.attempt++, this.random);

        this.retryAt = this.now() + delay;
        this.#setState('waiting', reason);
        this.timer = this.timers.set(() => this.#open(), delay);
    }

    /**
     * @param {string} code
     * @param {string} message
     */
    #deny(code, message) {
        this.#setState('stopped', code);
        this.#clear('timer');
        this.#drop(1000);
        this.#emit('denied', { code, message });
    }

    /**
     * Lets go of the socket and fails what waits for it.
     *
     * @param {number} code   close code to send, 0: none of our own
     */
    #drop(code) {
        const socket = this.socket;

        this.socket = null;
        this.#clear('timer');
        this.#clear('stableTimer');
        this.#clear('quietTimer');

        if (socket !== null) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            try {
                socket.close(...(code === 0 ? [] : [code]));
            } catch {
                /* closed already */
            }
        }

        const pending = [...this.requests.values()];

        this.requests.clear();
        for (const request of pending) {
            this.timers.clear(request.timer);
            request.reject(new ClientError('offline', 'The connection was lost before the answer came.'));
        }
    }

    /* -- heartbeat: browsers hide protocol pings, so silence is asked about -- */

    #heard() {
        this.#clear('quietTimer');
        if (this.state === 'online') {
            this.quietTimer = this.timers.set(() => this.#ask(), QUIET_AFTER);
        }
    }

    async #ask() {
        const socket = this.socket;

        try {
            await this.request('ping', {}, PONG_TIMEOUT);
        } catch (error) {
            if (socket !== null && error.code === 'timeout') {
                this.#lost(socket, 0, 'no answer');
            }
        }
    }

    /* -- messages -- */

    #subscribeAll() {
        for (const sub of this.subscriptions.values()) {
            this.#sendSubscribe(sub);
        }
    }

    /** @param {Subscription} sub */
    #sendSubscribe(sub) {
        const fields = { topics: [sub.topic], servers: [sub.server] };

        if (sub.topic === 'status') {
            sub.since = null;           /* a snapshot comes, whatever was before */
        } else if (sub.since !== null) {
            fields.since = sub.since;
        }

        this.request('subscribe', fields).catch((error) => {
            this.#emit('error', { topic: sub.topic, server: sub.server,
                                  code: error.code, message: error.message });
        });
    }

    /** @param {string} text */
    #receive(text) {
        let message;

        try {
            message = JSON.parse(text);
        } catch {
            return;
        }

        this.#heard();

        switch (message.op) {
        case 'event':
            this.#receiveEvent(message);
            break;

        case 'gap':
            this.#emit('gap', message);
            break;

        case 'resync':
            this.#emit('resync', message);
            this.#subscribeAll();
            break;

        default:
            this.#answer(message);
        }
    }

    /** @param {any} message */
    #receiveEvent(message) {
        if (message.topic !== 'status' && !this.#advance(message, message.seq)) {
            return;
        }

        this.#emit('event', message);
    }

    /**
     * Moves the cursor of the message's subscription.
     *
     * @param {any} message
     * @param {string|undefined} seq
     * @returns {boolean} false: this was seen before
     */
    #advance(message, seq) {
        const sub = this.subscriptions.get(`${message.topic} ${message.server}`);

        if (sub === undefined || typeof seq !== 'string') {
            return true;
        }

        if (sub.since !== null && compareCursors(seq, sub.since) <= 0) {
            return false;
        }

        sub.since = seq;
        return true;
    }

    /** @param {any} message */
    #answer(message) {
        const request = this.requests.get(message.id);

        if (request === undefined) {
            return;
        }

        this.requests.delete(message.id);
        this.timers.clear(request.timer);

        if (message.op === 'error') {
            request.reject(new ClientError(message.code ?? 'error',
                                           message.message ?? 'The request was refused.'));
        } else {
            request.resolve(message);
        }
    }

    /* -- small things -- */

    /**
     * @param {LiveState} state
     * @param {string} reason
     */
    #setState(state, reason) {
        this.state = state;
        this.reason = reason;
        this.#emit('state', { state, reason, retryAt: this.retryAt });
    }

    /** @param {'timer'|'stableTimer'|'quietTimer'} name */
    #clear(name) {
        if (this[name] !== null) {
            this.timers.clear(this[name]);
            this[name] = null;
        }
    }

    /**
     * @param {string} name
     * @param {any} detail
     */
    #emit(name, detail) {
        for (const fn of [...(this.listeners.get(name) ?? [])]) {
            fn(detail);
        }
    }
}
