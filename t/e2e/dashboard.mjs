// The dashboard's main path in headless Chromium, as TAP.
//
//   node dashboard.mjs URL KEY [PICTURE]
//
// Signs in, creates a demo server, waits until it runs, uses its console,
// changes a setting, stops, starts, restarts and deletes it. Any message on
// the browser's console, any exception and any violation of the
// Content-Security-Policy is a failure. PICTURE: where a screenshot of the
// console goes. RELOAD in the environment: a command that makes nginx reload.

import { execSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';

const [url, key, picture] = process.argv.slice(2);
const SLOW = 120000;            /* a server has to start in this time */

let tests = 0;
let failed = 0;

function ok(good, name, detail = '') {
    tests++;
    failed += good ? 0 : 1;
    console.log(`${good ? 'ok' : 'not ok'} ${tests} - ${name}`);
    if (!good && detail) {
        console.log(String(detail).replace(/^/gm, '#   '));
    }
}

/** One step; what it throws is its failure, and ends the path. */
async function step(name, fn) {
    try {
        await fn();
        ok(true, name);
    } catch (error) {
        ok(false, name, error.message);
        throw error;
    }
}

const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
           '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage'],
});
const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, colorScheme: 'light' });
const page = await context.newPage();
const complaints = [];
let expectRefusal = false;
let sockets = 0;

page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) {
        return;
    }

    /* Chromium itself notes every 4xx answer; some are asked for here. */
    if (expectRefusal && /Failed to load resource/.test(message.text())) {
        return;
    }

    complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
});
page.on('websocket', () => { sockets++; });
page.on('pageerror', (error) => complaints.push(`exception: ${error.stack}`));
await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
        console.error(`CSP violation: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
});

const pill = (text, timeout = SLOW) =>
    page.locator('.server-head .pill', { hasText: new RegExp(`^${text}$`) }).waitFor({ timeout });
const line = (text, timeout = 20000) =>
    page.locator('.log-line', { hasText: text }).last().waitFor({ timeout });

/** Until fn() is true. */
async function wait(fn, what, timeout = 30000) {
    for (const end = Date.now() + timeout; !await fn(); await sleep(20)) {
        if (Date.now() > end) {
            throw new Error(`waited in vain for ${what}`);
        }
    }
}

async function command(text) {
    await page.getByRole('textbox', { name: 'Command' }).fill(text);
    await page.keyboard.press('Enter');
}

const name = `e2e-${Math.floor(Math.random() * 1e6)}`;

async function path() {
    await step('a wrong key is refused in words', async () => {
        await page.goto(url);
        expectRefusal = true;
        await page.getByLabel('API key').fill('mch_00000000000000000000000000000000_wrong');
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByText('This key is not known').waitFor();
        expectRefusal = false;
    });

    await step('signs in', async () => {
        await page.getByLabel('API key').fill(key);
        await page.getByRole('button', { name: 'Sign in' }).click();
        await page.getByRole('heading', { name: 'Servers', exact: true }).waitFor();
        await page.locator('.live', { hasText: 'Live' }).waitFor();
    });

    await step('software under the EULA needs consent', async () => {
        await page.getByRole('link', { name: 'New server' }).first().click();
        await page.getByRole('radio', { name: /^Paper/ }).check();
        await page.getByLabel('Name', { exact: true }).fill(name);
        await page.getByRole('button', { name: 'Create server' }).click();
        await page.getByText('runs only under the Minecraft EULA').waitFor();
    });

    await step('faults of the platform stand beside their fields', async () => {
        await page.getByRole('radio', { name: /^Demo/ }).check();
        await page.getByLabel('Player slots').fill('100000');
        expectRefusal = true;
        await page.getByRole('button', { name: 'Create server' }).click();
        await page.locator('.field', { has: page.getByLabel('Player slots') }).locator('.field-fault:visible').waitFor();
        expectRefusal = false;
        await page.getByLabel('Player slots').fill('12');
    });

    await step('creates a demo server and sees it run', async () => {
        await page.getByLabel('Memory').selectOption('1Gi');
        await page.getByLabel('Message of the day').fill('§aEnd to §6end');
        await page.getByRole('button', { name: 'Create server' }).click();
        await page.getByRole('heading', { name }).waitFor();
        await pill('Running');
    });

    await step('the console shows the start', () => line('Done ('));

    await step('an address is shown', () => page.locator('.facts .address-text', { hasText: /\d/ }).waitFor());

    await step('a command is answered', async () => {
        await command('list');
        await page.locator('.log-output', { hasText: 'players online' }).waitFor();
    });

    await step('what a command does appears in the log', async () => {
        await command('say hi from the dashboard');
        await page.locator('.log-line:not(.log-command)', { hasText: 'hi from the dashboard' }).waitFor();
    });

    if (picture) {
        await page.screenshot({ path: picture });
    }

    await step('the filter finds lines', async () => {
        await page.getByLabel('Filter lines').fill('done (');
        await page.locator('.log-line:visible').first().waitFor();
        ok(await page.locator('.log-line:visible').count() < await page.locator('.log-line').count(), 'and hides the others');
        await page.getByLabel('Filter lines').fill('');
    });

    if (process.env.RELOAD) {
        await step('the console resumes after a reload of nginx', async () => {
            const before = sockets;

            execSync(process.env.RELOAD);
            await wait(() => sockets > before, 'another socket');
            await page.locator('.live', { hasText: 'Live' }).waitFor();
            await command('say back again');
            await page.locator('.log-line:not(.log-command)', { hasText: 'back again' }).waitFor();
        });

        await step('with no line twice', async () => {
            const texts = await page.locator('.log-line').allTextContents();

            ok(texts.filter((t) => t.includes('Done (')).length === 1, 'one start, one line', texts.join('\n'));
        });
    }

    await step('a reloaded page finds the whole log again', async () => {
        await page.reload();
        await line('Done (');
        await line('hi from the dashboard');
        await pill('Running');
    });

    await step('a setting is changed', async () => {
        await page.getByRole('link', { name: 'Settings' }).click();
        await page.getByLabel('Display name').fill('End to end');
        await page.getByRole('button', { name: 'Save changes' }).click();
        await page.getByText('Settings saved').waitFor();
        await page.getByRole('heading', { name: 'End to end' }).waitFor();
        await page.getByRole('link', { name: 'Console' }).click();
    });

    await step('stops', async () => {
        await page.getByRole('button', { name: 'Stop' }).click();
        await pill('Stopped');
        ok(await page.getByRole('textbox', { name: 'Command' }).isDisabled(), 'no commands to a stopped server');
    });

    await step('starts again', async () => {
        await page.getByRole('button', { name: 'Start' }).click();
        await pill('Running');
    });

    await step('restarts', async () => {
        const starts = page.locator('.log-line', { hasText: 'Done (' });
        const before = await starts.count();

        await page.getByRole('button', { name: 'Restart' }).click();
        await wait(async () => await starts.count() > before, 'another start', SLOW);
        await pill('Running');
    });

    await step('the list shows it', async () => {
        await page.getByRole('link', { name: 'Servers', exact: true }).click();
        await page.locator('.row', { hasText: name }).locator('.pill', { hasText: 'Running' }).waitFor();
    });

    await step('is deleted only when its name is typed', async () => {
        await page.locator('.row', { hasText: name }).getByRole('link').click();
        await page.getByRole('link', { name: 'Settings' }).click();
        await page.getByRole('button', { name: 'Delete…' }).click();

        const confirm = page.getByRole('button', { name: 'Delete server' });

        ok(await confirm.isDisabled(), 'not without the name');
        await page.getByLabel('Delete the world too').check();
        await page.getByLabel(/^Type/).fill(name);
        await confirm.click();
        expectRefusal = true;           /* it is asked for until it is a 404 */
        await page.locator('.row', { hasText: name }).waitFor({ state: 'detached', timeout: SLOW });
    });

    await step('signs out', async () => {
        await page.getByRole('button', { name: 'Sign out' }).click();
        await page.getByLabel('API key').waitFor();
        ok(await page.evaluate(() => sessionStorage.length) === 0, 'and the key is forgotten');
    });
}

try {
    await path();
} catch {
    if (process.env.E2E_SHOT) {
        await page.screenshot({ path: process.env.E2E_SHOT });
    }
}

ok(complaints.length === 0, 'nothing on the browser’s console', complaints.join('\n'));
console.log(`1..${tests}`);
await browser.close();
process.exitCode = failed === 0 ? 0 : 1;
