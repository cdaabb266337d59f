/**
 * The REST API, "/api/v1". Errors are problem+json and arrive as ApiError.
 */

/**
 * @typedef {object} Fault
 * @property {string} pointer   RFC 6901, "/spec/properties/motd"
 * @property {string} code
 * @property {string} message
 */

const READ_ATTEMPTS = 3;
const TIMEOUT = 20000;

export class ApiError extends Error {
    /**
     * @param {number} status       0: no answer at all
     * @param {string} message      a sentence for a person
     * @param {Fault[]} [faults]
     * @param {string} [requestId]
     * @param {number} [retryAfter] seconds
     */
    constructor(status, message, faults = [], requestId = '', retryAfter = 0) {
        super(message);
        this.name = 'ApiError';
        this.status = status;
        this.faults = faults;
        this.requestId = requestId;
        this.retryAfter = retryAfter;
    }
}

/* What to say when the answer itself says nothing. */
const SENTENCES = {
    0: 'The platform cannot be reached. Check your connection.',
    401: 'The API key is not valid any more.',
    403: 'Your API key does not allow this.',
    404: 'It does not exist (any more).',
    409: 'It conflicts with something that exists.',
    412: 'It was changed by somebody else in the meantime.',
    413: 'That is too much data.',
    422: 'Some fields need attention.',
    429: 'Too many requests. Wait a moment.',
    502: 'The platform is restarting. Try again in a moment.',
    503: 'The platform is busy or its database is away. Try again in a moment.',
    504: 'No answer came in time.',
};

export class Api {
    /**
     * @param {string} token
     * @param {() => void} [onUnauthorized]
     */
    constructor(token, onUnauthorized = () => {}) {
        this.token = token;
        this.onUnauthorized = onUnauthorized;
    }

    me() {
        return this.read('/me');
    }

    /**
     * Every server, over all pages.
     *
     * @returns {Promise<any[]>}
     */
    async servers() {
        const items = [];
        let after = '';

        for (;;) {
            const page = await this.read(`/servers?limit=200${after && `&after=${encodeURIComponent(after)}`}`);

            items.push(...page.items);
            if (!page.next) {
                return items;
            }

            after = page.next;
        }
    }

    /** @param {string} id */
    server(id) {
        return this.read(`/servers/${encodeURIComponent(id)}`);
    }

    /** @param {{name: string, spec: object}} document */
    create(document) {
        return this.#send('POST', '/servers', document, { 'Idempotency-Key': randomKey() });
    }

    /**
     * @param {string} id
     * @param {number} generation   that the patch was made from
     * @param {object} patch        JSON merge patch
     */
    update(id, generation, patch) {
        return this.#send('PATCH', `/servers/${encodeURIComponent(id)}`, patch,
                          { 'Content-Type': 'application/merge-patch+json',
                            'If-Match': `"${generation}"` });
    }

    /**
     * @param {string} id
     * @param {boolean} purge   the world too
     */
    remove(id, purge) {
        return this.#send('DELETE', `/servers/${encodeURIComponent(id)}${purge ? '?purge=true' : ''}`);
    }

    /**
     * @param {string} id
     * @param {'start'|'stop'|'restart'} action
     */
    action(id, action) {
        return this.#send('POST', `/servers/${encodeURIComponent(id)}/actions/${action}`,
                          undefined, { 'Idempotency-Key': randomKey() });
    }

    /**
     * @param {string} id
     * @param {string} command
     * @returns {Promise<{output: string}>}
     */
    console(id, command) {
        return this.#send('POST', `/servers/${encodeURIComponent(id)}/console`, { command });
    }

    /**
     * Reads are safe to repeat: a busy platform is asked again after the time
     * that it names.
     *
     * @param {string} path
     */
    async read(path) {
        for (let attempt = 1; ; attempt++) {
            try {
                return await this.#send('GET', path);

            } catch (error) {
                const again = error.status === 503 || error.status === 502 || error.status === 429;

                if (!again || attempt === READ_ATTEMPTS) {
                    throw error;
                }

                await sleep(1000 * Math.min(error.retryAfter || attempt, 5));
            }
        }
    }

    /**
     * @param {string} method
     * @param {string} path
     * @param {object} [body]
     * @param {Record<string, string>} [headers]
     */
    async #send(method, path, body, headers = {}) {
        const init = {
            method,
            headers: { Accept: 'application/json', Authorization: `Bearer ${this.token}`, ...headers },
            cache: 'no-store',
            credentials: 'omit',
            signal: AbortSignal.timeout(TIMEOUT),
        };

        if (body !== undefined) {
            init.body = JSON.stringify(body);
            init.headers['Content-Type'] ??= 'application/json';
        }

        let response;

        try {
            response = await fetch(`/api/v1${path}`, init);
        } catch (error) {
            throw new ApiError(0, error.name === 'TimeoutError' ? SENTENCES[504] : SENTENCES[0]);
        }

        const content = await response.json().catch(() => null);

        if (response.ok) {
            return content;
        }

        const error = problem(response, content);

        if (error.status === 401) {
            this.onUnauthorized();
        }

        throw error;
    }
}

/**
 * @param {Response} response
 * @param {any} content
 */
function problem(response, content) {
    const { status } = response;
    const message = content?.detail || SENTENCES[status] || content?.title
        || `The platform answered with an unexpected status (${status}).`;
    const faults = Array.isArray(content?.errors) ? content.errors : [];

    return new ApiError(status, message, faults,
                        content?.requestId ?? response.headers.get('X-Request-Id') ?? '',
                        Number(response.headers.get('Retry-After')) || 0);
}

/**
 * What the platform's own check says: "ok", or a sentence about what is away.
 *
 * @returns {Promise<string>}
 */
export async function readiness() {
    try {
        const response = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout(5000) });

        if (response.ok) {
            return 'ok';
        }

        const { database = 'ok', redis = 'ok' } = await response.json().catch(() => ({}));

        if (database !== 'ok') {
            return 'The platform’s database is not available.';
        }

        return redis !== 'ok' ? 'The live channel and the consoles are not available.' : SENTENCES[503];

    } catch {
        return SENTENCES[0];
    }
}

/* crypto.randomUUID() exists on secure origins only. */
function randomKey() {
    return [...crypto.getRandomValues(new Uint8Array(16))]
        .map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
