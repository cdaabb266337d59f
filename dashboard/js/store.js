/**
 * What the signed-in page knows: the servers, kept current by the socket, and
 * by asking now and then while there is no socket. Views watch it.
 */

import { readiness } from './api.js';
import { describeState } from './format.js';
import { LogBuffer } from './logbuffer.js';

const POLL_OFFLINE = 10000;
const POLL_DELETED = 3000;
const CHECK_HEALTH = 30000;
const PENDING_TIMEOUT = 20000;
const KEPT_CONSOLES = 8;

/* Why a command got no answer, by the code of the error or HTTP's status. */
const UNANSWERED = {
    unavailable: 'The console cannot be reached right now. Try again in a moment.',
    timeout: 'The server did not answer in time. The command may still have been carried out.',
    not_running: 'The server is not running.',
    503: 'The console cannot be reached right now. Try again in a moment.',
    504: 'The server did not answer in time. The command may still have been carried out.',
};

/**
 * @typedef {object} Pending      an action that was asked for and not yet seen
 * @property {'start'|'stop'|'restart'} action
 * @property {number} generation
 * @property {any} timer
 */

export class Store {
    /**
     * @param {import('./api.js').Api} api
     * @param {import('./client.js').Client} client
     * @param {any} me   the answer of /me
     */
    constructor(api, client, me) {
        this.api = api;
        this.client = client;
        this.me = me;
        /** @type {Map<string, any>} */
        this.servers = new Map();
        this.loaded = false;
        /** @type {Error|null} */
        this.loadError = null;
        this.health = 'ok';
        /** @type {Map<string, Pending>} */
        this.pending = new Map();
        /** @type {Map<string, LogBuffer>} */
        this.consoles = new Map();

        this.listeners = new Map();
        this.dirty = new Set();
        this.fetching = new Map();
        this.statusSeen = new Map();    /* id → when the socket told its status */
        this.taken = new Map();         /* id → when a document came in */
        this.timers = [];
        this.started = false;
    }

    /** May this key change things, or only look? */
    get mayOperate() {
        return this.me.key.role !== 'viewer';
    }

    get mayManage() {
        return this.me.key.role === 'admin' || this.me.key.role === 'owner';
    }

    start() {
        this.started = true;
        this.client.on('state', (live) => this.#liveChanged(live));
        this.client.on('event', (event) => this.#receive(event));
        this.client.on('gap', (gap) => {
            if (gap.topic === 'logs') {
                this.consoles.get(gap.server)?.receiveGap();
            }
        });
        this.client.on('resync', () => {
            this.refresh();
            this.checkHealth();
        });
        this.client.on('error', () => this.checkHealth());
        this.client.subscribe('status', '*');
        this.client.connect();
        this.refresh();
        this.checkHealth();
        this.timers.push(
            setInterval(() => this.#pollOffline(), POLL_OFFLINE),
            setInterval(() => this.#pollDeleted(), POLL_DELETED),
            setInterval(() => this.checkHealth(), CHECK_HEALTH));
    }

    stop() {
        this.started = false;
        this.client.close();
        this.timers.forEach(clearInterval);
        for (const { timer } of this.pending.values()) {
            clearTimeout(timer);
        }
        this.listeners.clear();
    }

    /**
     * @param {string} what   "servers", "live", "health", or a server's id
     * @param {() => void} fn
     * @returns {() => void}
     */
    watch(what, fn) {
        const set = this.listeners.get(what) ?? new Set();

        this.listeners.set(what, set);
        set.add(fn);
        return () => set.delete(fn);
    }

    /** Every server, in the order of the names that people see. */
    list() {
        const shown = (server) => server.spec?.displayName || server.name;

        return [...this.servers.values()].sort((a, b) =>
            shown(a).localeCompare(shown(b), 'en', { numeric: true }) || (a.id < b.id ? -1 : 1));
    }

    /* -- reading -- */

    /** Reads the whole list anew. */
    async refresh() {
        const asked = Date.now();

        try {
            const items = await this.api.servers();
            const ids = new Set(items.map((item) => item.id));

            for (const id of this.servers.keys()) {
                /* One that came in meanwhile may be younger than the list. */
                if (!ids.has(id) && this.taken.get(id) < asked) {
                    this.#forget(id);
                }
            }

            items.forEach((item) => this.#take(item, asked));
            this.loaded = true;
            this.loadError = null;

        } catch (error) {
            this.loadError = error;
            this.checkHealth();
        }

        this.#changed('servers');
    }

    /**
     * Reads one server anew; several callers at once share one request.
     *
     * @param {string} id
     * @returns {Promise<any>} null: it is gone
     */
    fetch(id) {
        let request = this.fetching.get(id);

        if (request === undefined) {
            request = this.#fetchOne(id).finally(() => this.fetching.delete(id));
            this.fetching.set(id, request);
        }

        return request;
    }

    /** @param {string} id */
    async #fetchOne(id) {
        const asked = Date.now();

        try {
            return this.#take(await this.api.server(id), asked);
        } catch (error) {
            if (error.status !== 404) {
                throw error;
            }

            this.#forget(id);
            return null;
        }
    }

    /**
     * Takes a document in. The socket may have told a newer status while the
     * request was under way: that one stays.
     *
     * @param {any} document
     * @param {number} asked
     */
    #take(document, asked) {
        const known = this.servers.get(document.id);

        if (known !== undefined && (this.statusSeen.get(document.id) ?? 0) > asked) {
            document = { ...document, status: known.status };
        }

        if (known !== undefined && known.generation > document.generation) {
            document = { ...known, status: document.status };
        }

        this.servers.set(document.id, document);
        this.taken.set(document.id, Date.now());
        this.#settle(document.id);
        this.#changed('servers', document.id);
        return document;
    }

    /** @param {string} id */
    #forget(id) {
        this.servers.delete(id);
        this.statusSeen.delete(id);
        this.taken.delete(id);
        this.#settle(id, true);
        this.#changed('servers', id);
    }

    /* -- live -- */

    /** @param {any} event */
    #receive(event) {
        if (event.topic === 'logs') {
            this.consoles.get(event.server)?.receive(event);

        } else if (event.topic === 'status') {
            this.#receiveStatus(event.server, event.data);
        }
    }

    /**
     * @param {string} id
     * @param {any} status
     */
    #receiveStatus(id, status) {
        const known = this.servers.get(id);

        this.statusSeen.set(id, Date.now());

        if (known === undefined) {
            this.fetch(id).catch(() => {});
            return;
        }

        this.servers.set(id, { ...known, status });
        this.#settle(id);
        this.#changed('servers', id);

        const stale = (status.observedGeneration ?? 0) > known.generation;

        if (stale || (status.state === 'Deleting' && !known.deletedAt)) {
            this.fetch(id).catch(() => {});
        }
    }

    /** @param {{state: string}} live */
    #liveChanged(live) {
        if (live.state === 'online' && this.loaded) {
            this.refresh();             /* the snapshot tells states, not settings */
        }

        if (live.state === 'waiting') {
            this.checkHealth();
        }

        this.#changed('live');
    }

    #pollOffline() {
        if (document.hidden) {
            return;
        }

        if (this.client.state !== 'online' || this.health !== 'ok' || this.loadError !== null) {
            this.refresh();
            this.checkHealth();
        }
    }

    #pollDeleted() {
        for (const server of this.servers.values()) {
            if (describeState(server).state === 'Deleting') {
                this.fetch(server.id).catch(() => {});
            }
        }
    }

    async checkHealth() {
        if (!this.started || document.hidden) {
            return;
        }

        const health = await readiness();

        if (health !== this.health) {
            this.health = health;
            this.#changed('health');
            if (health === 'ok') {
                this.refresh();
            }
        }
    }

    /* -- changing -- */

    /**
     * @param {{name: string, spec: object}} document
     */
    async create(document) {
        const asked = Date.now();

        return this.#take(await this.api.create(document), asked);
    }

    /**
     * @param {string} id
     * @param {number} generation
     * @param {object} patch
     */
    async update(id, generation, patch) {
        const asked = Date.now();

        return this.#take(await this.api.update(id, generation, patch), asked);
    }

    /**
     * @param {string} id
     * @param {'start'|'stop'|'restart'} action
     */
    async act(id, action) {
        this.#await(id, action, Infinity);

        try {
            const operation = await this.api.action(id, action);

            this.#await(id, action, operation?.generation ?? 0);
            await this.fetch(id);
        } catch (error) {
            this.#settle(id, true);
            throw error;
        }
    }

    /**
     * @param {string} id
     * @param {boolean} purge
     */
    async remove(id, purge) {
        await this.api.remove(id, purge);
        await this.fetch(id);
    }

    /**
     * Runs a console command over the socket, or over REST while there is no
     * socket. What was sent and what came back is in the console's lines.
     *
     * @param {string} id
     * @param {string} command
     */
    async command(id, command) {
        const lines = this.consoleOf(id);

        lines.add('command', command);

        try {
            const { output } = this.client.state === 'online'
                ? await this.client.command(id, command)
                : await this.api.console(id, command);

            if (output) {
                lines.add('output', output.replace(/\n+$/, ''));
            }
        } catch (error) {
            lines.add('error', UNANSWERED[error.code ?? error.status] ?? error.message);
            this.checkHealth();
        }
    }

    /**
     * The lines of a server's console; the oldest unused ones are forgotten.
     *
     * @param {string} id
     */
    consoleOf(id) {
        const lines = this.consoles.get(id) ?? new LogBuffer();

        this.consoles.delete(id);
        this.consoles.set(id, lines);

        for (const [other, buffer] of this.consoles) {
            if (this.consoles.size <= KEPT_CONSOLES) {
                break;
            }

            if (buffer.listeners.size === 0 && other !== id) {
                this.consoles.delete(other);
            }
        }

        return lines;
    }

    /**
     * Follows a server's log from where it was left.
     *
     * @param {string} id
     * @returns {() => void} ends it
     */
    followLog(id) {
        return this.client.subscribe('logs', id, this.consoleOf(id).cursor ?? '0');
    }

    /* -- pending actions -- */

    /**
     * @param {string} id
     * @param {'start'|'stop'|'restart'} action
     * @param {number} generation
     */
    #await(id, action, generation) {
        clearTimeout(this.pending.get(id)?.timer);

        const timer = setTimeout(() => this.#settle(id, true), PENDING_TIMEOUT);

        this.pending.set(id, { action, generation, timer });
        this.#settle(id);
        this.#changed('servers', id);
    }

    /**
     * Ends the wait for an action once the reconciler has seen its generation.
     *
     * @param {string} id
     * @param {boolean} [anyway]
     */
    #settle(id, anyway = false) {
        const pending = this.pending.get(id);
        const seen = this.servers.get(id)?.status?.observedGeneration ?? 0;

        if (pending !== undefined && (anyway || seen >= pending.generation)) {
            clearTimeout(pending.timer);
            this.pending.delete(id);
            this.#changed('servers', id);
        }
    }

    /* -- notification: once per turn of the loop -- */

    /** @param {...string} what */
    #changed(...what) {
        if (this.dirty.size === 0) {
            queueMicrotask(() => {
                const names = [...this.dirty];

                this.dirty.clear();
                for (const name of names) {
                    for (const fn of [...(this.listeners.get(name) ?? [])]) {
                        fn();
                    }
                }
            });
        }

        what.forEach((name) => this.dirty.add(name));
    }
}
