# The dashboard's main path in a real browser, against the whole platform:
# sign in, create a demo server, its console, stop, start, restart, delete.

use lib 't/lib';
use MCHost::Test;

my $mime = (grep { -f } '/etc/nginx/mime.types', 'build/nginx-asan/conf/mime.types')[0];
my $conf = root() . '/conf';
my $t = MCHost::Test->new(podman => 1, reconciler => 1,
    nginx => { WORKERS => 2, HTTP => "include $mime;", SERVER => "include $conf/mchost-headers.conf;" });
my $acme = $t->tenant('Acme Games');
my $url = 'http://127.0.0.1:' . $t->port . '/';

my $r = $t->api(GET => '//');
is($r->status, 200, 'the page is served');
like($r->header('content-security-policy'), qr/default-src 'none'.*script-src 'self'/, 'under a strict policy');

local $ENV{RELOAD} = 'kill -HUP ' . $t->nginx->{proc}->pid;
local $ENV{E2E_SHOT} = $t->dir . '/dashboard.png' if $ENV{MCHOST_KEEP};
open my $p, '-|', 'node', 't/e2e/dashboard.mjs', $url, $acme->{key} or die "node: $!";

while (my $line = readline $p) {
    if ($line =~ /^(not )?ok \d+ - (.*)/) {
        ok(!$1, $2);
    } elsif ($line =~ /^#/) {
        diag($line =~ s/^#\s*//r);
    }
}

ok(close $p, 'the browser’s part ends well');
wait_for { !grep { /^mc-/ } $t->podman->names('pods'), $t->podman->names('volumes') } 'container and world to go';
pass('nothing is left of the server');
done_testing();
