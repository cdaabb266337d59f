# The client of the Kubernetes API on a real cluster: who it says it is, whom
# it believes, and what it does when an answer is no answer.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use File::Temp ();
use IPC::Open2;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0);
my $kube = $t->kube;
my $ns = $kube->ns;
my $dir = File::Temp::tempdir('mch-client-XXXXXX', DIR => '/tmp', CLEANUP => 1);
my $bin = 'build/driver/kube_live';
my $json = JSON::PP->new->canonical->allow_nonref;

sub put {
    my ($name, $text, $mode) = @_;
    open my $f, '>', "$dir/$name.new" or die $!;
    print $f $text;
    close $f;
    chmod $mode // 0600, "$dir/$name.new";
    rename "$dir/$name.new", "$dir/$name" or die $!;
    return "$dir/$name";
}

# A kubeconfig of one cluster and one user (JSON is YAML).
sub config {
    my ($name, $cluster, $user) = @_;
    return put($name, $json->encode({ apiVersion => 'v1', kind => 'Config', 'current-context' => 'c',
        contexts => [ { name => 'c', context => { cluster => 'k', user => 'u', namespace => $ns } } ],
        clusters => [ { name => 'k', cluster => $cluster } ], users => [ { name => 'u', user => $user } ] }));
}

# A client that is asked; it ends with the block.
package Asked {
    sub new {
        my ($class, $config, %env) = @_;
        local @ENV{ 'KUBECONFIG', keys %env } = ($config, values %env);
        my $pid = IPC::Open2::open2(my $out, my $in, "exec $bin ask 2>>$dir/log");
        return bless { pid => $pid, in => $in, out => $out }, $class;
    }
    sub ask {
        my ($self, $line) = @_;
        local $SIG{PIPE} = 'IGNORE';
        syswrite $self->{in}, "$line\n";
        my $answer = readline $self->{out};
        return $answer // 'nothing';
    }
    sub get { return $_[0]->ask("1 GET $_[1]") }
    sub end {
        my ($self) = @_;
        return 0 unless my $pid = delete $self->{pid};
        close $self->{in};
        waitpid $pid, 0;
        return $?;
    }
    sub DESTROY { local $?; $_[0]->end }
}

my ($admin) = map { $_->{users}[0]{user} } my $view = $json->decode($kube->kubectl(qw(config view --raw --flatten --minify -o json)));
my $cluster = $view->{clusters}[0]{cluster};
my $server = $cluster->{server};
$kube->apply({ apiVersion => 'v1', kind => 'ConfigMap', metadata => { name => 'there' }, data => { a => 'b' } });

# Accounts: one that may read ConfigMaps, one that may nothing.
$kube->create({ apiVersion => 'v1', kind => 'ServiceAccount', metadata => { name => $_ } }) for qw(reader nobody);
$kube->create({ apiVersion => 'rbac.authorization.k8s.io/v1', kind => 'Role', metadata => { name => 'reader' },
    rules => [ { apiGroups => [''], resources => ['configmaps'], verbs => ['get'] } ] });
$kube->create({ apiVersion => 'rbac.authorization.k8s.io/v1', kind => 'RoleBinding', metadata => { name => 'reader' },
    roleRef => { apiGroup => 'rbac.authorization.k8s.io', kind => 'Role', name => 'reader' },
    subjects => [ { kind => 'ServiceAccount', name => 'reader', namespace => $ns } ] });
my %token = map { my $name = $_; chomp(my $s = $kube->kubectl('create', 'token', $name)); $name => $s } qw(reader nobody);

subtest 'verbs' => sub {
    local $ENV{KUBECONFIG} = config('admin', $cluster, $admin);
    my @lines = qx($bin verbs 2>&1);
    is($?, 0, 'every verb, as the administrator') or diag(@lines);
    like(join('', @lines), qr/^1\.\.\d\d/m, 'to the end');
};

subtest 'a certificate, a token, and none' => sub {
    like(Asked->new(config('cert', $cluster, $admin))->get('there'), qr/^ok 200 0 ready .*"a":"b"/, 'a client certificate');
    like(Asked->new(config('token', $cluster, { token => $token{reader} }))->get('there'), qr/^ok 200/, 'a token');
    my $a = Asked->new(config('nobody', $cluster, { token => $token{nobody} }));
    like($a->get('there'), qr/^forbidden 403 0 ready configmaps "there" is forbidden: User .*nobody.* cannot get/, 'one that may nothing');
    $a = Asked->new(config('wrong', $cluster, { token => 'nonsense' }));
    like($a->get('there'), qr/^unauthorized 401 0 unready Unauthorized/, 'a token that is none');
    like(Asked->new(config('none', $cluster, {}))->get('there'), qr/^(forbidden 403|unauthorized 401)/, 'nobody');
    is($a->end, 0, 'nothing leaks');
};

subtest 'files' => sub {
    put('ca.crt', my $ca = MIME::Base64::decode_base64($cluster->{'certificate-authority-data'}));
    put('token', "nonsense\n");
    my $a = Asked->new(config('files', { server => $server, 'certificate-authority' => 'ca.crt' }, { tokenFile => 'token' }));
    like($a->get('there'), qr/^unauthorized 401/, 'a token file, still without a token');
    put('token', "$token{reader}\n");
    wait_for { $a->get('there') =~ /^ok 200/ } 'the new token';
    unlink "$dir/token";
    like($a->get('there'), qr/^ok 200/, 'the file is gone, its token counts on');
    put('token', "nonsense\n");
    like($a->get('there'), qr/^ok 200/, 'and is not read while it is good');
    is($a->end, 0, 'nothing leaks');
    like(Asked->new("$dir/files")->get('there'), qr/^unauthorized 401/, 'another one reads it');
    unlink "$dir/token";
    like(readline(Asked->new("$dir/files")->{out}), qr/^no credentials: \Q$dir\E\/token: No such file/, 'no file to begin with');
};

subtest 'whom it believes' => sub {
    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout $dir/other.key -out $dir/other.crt 2>/dev/null");
    my %c = (%$cluster, 'certificate-authority-data' => undef, 'certificate-authority' => 'other.crt');
    delete $c{'certificate-authority-data'};
    like(Asked->new(config('ca', \%c, $admin))->get('there'), qr/^unavailable 0 0 unready .*certificate/, "another authority's");
    delete $c{'certificate-authority'};
    like(Asked->new(config('system', \%c, $admin))->get('there'), qr/^unavailable 0 0 unready .*certificate/, "the system's");
    like(Asked->new(config('name', { %$cluster, 'tls-server-name' => 'other.example' }, $admin))->get('there'),
        qr/^unavailable 0 0 unready .*other\.example/, 'another name than the certificate has');
    my ($host, $port) = $server =~ m{^https://(.*):(\d+)$};
    SKIP: {
        skip 'the certificate is not ours', 1 if $kube->foreign;
        like(Asked->new(config('sni', { %$cluster, 'tls-server-name' => 'localhost' }, $admin))->get('there'), qr/^ok 200/, 'tls-server-name');
    }
    like(readline(Asked->new(config('insecure', { %$cluster, 'insecure-skip-tls-verify' => JSON::PP::true }, $admin))->{out}),
        qr/^no credentials: \S+:1: insecure-skip-tls-verify is refused/, 'never everybody');
    my $closed = free_port();
    like(Asked->new(config('closed', { %$cluster, server => "https://127.0.0.1:$closed" }, $admin))->get('there'),
        qr/^unavailable 0 0 unready no answer from the Kubernetes API at 127\.0\.0\.1:$closed/, 'nobody there');
};

my $plugin = put('plugin', <<'EOT', 0700);
#!/bin/sh
echo "$KUBERNETES_EXEC_INFO" >> "$STATE.runs"
[ ! -e "$STATE.fails" ] || { echo "no ticket today" >&2; exit 3; }
read -r token < "$STATE"
printf '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s"%s}}' "$token" "$1"
EOT

sub exec_user {
    my ($command, %o) = @_;
    return { exec => { apiVersion => 'client.authentication.k8s.io/v1', command => $command, interactiveMode => 'Never',
        env => [ { name => 'STATE', value => "$dir/state" } ], %o } };
}

sub runs { open my $f, '<', "$dir/state.runs" or return (); return map { $json->decode($_) } readline $f }

subtest 'a plugin' => sub {
    put('state', "nonsense\n");
    my $a = Asked->new(config('exec', $cluster, exec_user('./plugin', provideClusterInfo => JSON::PP::true)));
    like($a->get('there'), qr/^unauthorized 401/, 'its token is not good');
    is(runs(), 2, 'it was asked again, once');
    my ($info) = runs();
    is($info->{spec}{interactive}, JSON::PP::false, 'nobody to talk to');
    is($info->{spec}{cluster}{server}, $server, 'clusterInfo');
    is(length $info->{spec}{cluster}{'certificate-authority-data'}, length $cluster->{'certificate-authority-data'}, 'with the authority');
    put('state', "$token{reader}\n");
    wait_for { $a->get('there') =~ /^ok 200/ } 'a good one';
    my $n = () = runs();
    $a->get('there') for 1 .. 5;
    is(runs(), $n, 'not run again while its token is good');
    is($a->end, 0, 'nothing leaks');

    put('state.fails', '');
    $a = Asked->new("$dir/exec");
    like($a->get('there'), qr/^unauthorized 0 0 unready the credential plugin ".*plugin" failed: it ended with code 3: no ticket today/, 'it fails');
    unlink "$dir/state.fails";
    wait_for { $a->get('there') =~ /^ok 200/ } 'it is run again';
    is($a->end, 0, 'nothing leaks');

    my $expired = Asked->new(config('expired', $cluster, exec_user('./plugin', args => [ ',"expirationTimestamp":"2020-01-01T00:00:00Z"' ])));
    $n = () = runs();
    like($expired->get('there'), qr/^ok 200/, 'one that expires');
    wait_for { $expired->get('there') =~ /^ok 200/ or die; $n + 2 <= runs() } 'it is run again before it is refused';
};

subtest 'a plugin with a certificate, and none' => sub {
    my %pem = map { $_ => MIME::Base64::decode_base64($admin->{"client-$_-data"} // '') } qw(certificate key);
    SKIP: {
        skip 'the administrator has no certificate', 1 unless $pem{key};
        put('cred', $json->encode({ kind => 'ExecCredential', apiVersion => 'client.authentication.k8s.io/v1',
            status => { clientCertificateData => $pem{certificate}, clientKeyData => $pem{key} } }));
        like(Asked->new(config('execcert', $cluster, exec_user('cat', args => ["$dir/cred"])))->get('there'), qr/^ok 200/, 'from PATH, a certificate');
    }
    like(Asked->new(config('noexec', $cluster, exec_user('./missing', installHint => 'ask the help desk')))->get('there'),
        qr/^unauthorized 0 0 unready the credential plugin ".*missing" cannot be run: no such file or directory\. ask the help desk/, 'it is not there');
    like(Asked->new(config('badexec', $cluster, exec_user('echo', args => ['{}'])))->get('there'),
        qr/^unauthorized .*it printed no ExecCredential/, 'it prints something else');
};

# An API server that answers as the name says.
my $fake = free_port();
my $node = MCHost::Process->spawn(name => 'fake API', log => "$dir/fake.log", cmd => [ 'node', '-e', <<"EOT" ]);
const fs = require('fs'), https = require('https');
let seen = {}, now = 0, most = 0;
https.createServer({ key: fs.readFileSync('$dir/other.key'), cert: fs.readFileSync('$dir/other.crt') }, (req, res) => {
    const name = req.url.split('/').pop();
    const say = (code, headers, body) => { res.writeHead(code, headers); res.end(body || ''); };
    const status = (reason, more) => JSON.stringify({ kind: 'Status', reason, message: reason, ...more });
    seen[name] = (seen[name] || 0) + 1;
    switch (name.replace(/\\d+\$/, '')) {
    case 'throttled': return seen[name] < 3 ? say(429, { 'Retry-After': 1 }, status('TooManyRequests')) : say(200, {}, 'let in at ' + seen[name]);
    case 'late': return seen[name] < 2 ? say(503, {}, status('x', { details: { retryAfterSeconds: 1 } })) : say(200, {}, 'late');
    case 'busy': return say(503, { 'Retry-After': '60' }, status('ServiceUnavailable'));
    case 'moved': return say(302, { Location: 'https://localhost:$fake/seen' });
    case 'warned': return say(200, { Warning: ['299 - "old version"', '299 - "old field"'] }, 'warned');
    case 'fresh': return say(req.headers.authorization === 'Bearer second' ? 200 : 401, {}, 'fresh');
    case 'who': return say(200, {}, req.headers['user-agent'] + ' ' + req.headers.host + ' ' + req.httpVersion + ' ' + (req.headers.authorization || '-'));
    case 'slow': now++; most = Math.max(most, now); return setTimeout(() => { now--; say(200, {}, 'slow'); }, 50);
    case 'cut': return res.socket.destroy();
    case 'most': return say(200, {}, String(most));
    default: return say(200, {}, JSON.stringify(seen));
    }
}).listen($fake, '127.0.0.1');
EOT
wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$fake") } 'the fake API';

subtest 'answers that are none' => sub {
    put('first', 'first');
    my $a = Asked->new(config('fake', { server => "https://127.0.0.1:$fake/", 'certificate-authority' => 'other.crt',
        'tls-server-name' => 'localhost' }, { tokenFile => 'first' }));
    like($a->get('who'), qr{^ok 200 0 ready  mchost-reconciler/\S+ 127\.0\.0\.1:$fake 1\.1 Bearer first}, 'who it is, to whom');
    like($a->get('throttled'), qr/^ok 200 0 ready  let in at 3/, '429 is waited out by a read');
    like($a->ask('1 PUT throttled9'), qr/^throttled 429 1 ready TooManyRequests/, 'and told to a write');
    like($a->get('late'), qr/^ok .*late/, '503 with a time in its Status as well');
    like($a->get('busy'), qr/^unavailable 503 60 unready ServiceUnavailable/, 'a long wait is the caller\'s');
    like($a->get('moved'), qr/^invalid 302/, 'a redirection is not followed');
    like($a->get('cut'), qr/^unavailable 0 0 unready/, 'a connection cut');
    like($a->get('warned'), qr/^ok/, 'warnings');
    $a->get('warned');
    open my $log, '<', "$dir/log" or die;
    is(scalar(grep { /old version; old field/ } <$log>), 1, 'are logged once');
    put('first', 'second');
    like($a->get('fresh'), qr/^ok 200 .*fresh/, '401 is met with fresh credentials');
    like($a->ask('150 GET slow'), qr/^ok .*slow/, '150 at once');
    like($a->get('most'), qr/ready  (?:[12]\d|3[0-2])\s*$/, 'at most 32 under way');
    like($a->ask('9000 GET seen'), qr/^8192 taken ok/, 'more than 8192 do not wait');
    my $seen = $a->get('seen');
    like($seen, qr/"fresh":2/, 'asked twice');
    like($seen, qr/"busy":1/, 'asked once');
    is($a->end, 0, 'nothing leaks');
};

done_testing();
