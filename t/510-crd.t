# The CustomResourceDefinition: the API server and our own validator judge the
# same documents alike and fill in the same defaults; what kubectl shows.
# sanitized: no

use lib 't/lib';
use MCHost::Test;
use IPC::Open2 qw(open2);

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0);
my $kube = $t->kube;
my $json = JSON::PP->new->utf8->canonical;
my $path = $kube->path('MinecraftServer');
my $demo = { software => { type => 'demo' } };

# -- the two judges --

my $pid = open2(my $from, my $to, 'build/schema', 'judge');
$to->autoflush(1);

# Our own: (valid?, spec with defaults or faults). An old spec makes it a change.
sub ours {
    my ($spec, $old) = @_;

    print $to join("\t", map { $json->encode($_) } grep { $_ } $old, $spec), "\n";
    my $line = readline $from // die "build/schema ended\n";
    chomp $line;
    return $line =~ /^V (.*)/s ? (1, $json->decode($1)) : (0, $line);
}

sub resource { my ($name, $spec) = @_; return { apiVersion => 'mchost.io/v1alpha1', kind => 'MinecraftServer', metadata => { name => $name }, spec => $spec } }

my $http = MCHost::Http->connect($kube->{socket}, timeout => 60);

# The API server's: (valid?, spec or message).
sub theirs {
    my ($spec) = @_;

    $http->send(POST => "$path?dryRun=All&fieldValidation=Strict", resource('judged', $spec), { Host => 'localhost' });
    my $r = $http->receive // die "the API server closed\n";
    return $r->status == 201 ? (1, $r->json->{spec}) : (0, $r->json->{message});
}

# Both say the same; returns whether it is valid.
sub agree {
    my ($spec, $what) = @_;

    my ($v, $mine) = ours($spec);
    my ($w, $its) = theirs($spec);
    return "$what: ours " . ($v ? 'valid' : $mine) . ', theirs ' . ($w ? 'valid' : $its) if $v != $w;
    return "$what: defaults differ: " . $json->encode($mine) . ' and ' . $json->encode($its) if $v && $json->encode($mine) ne $json->encode($its);
    return $v;
}

# -- random documents: parts of a full one, changed here and there --

my $full = $json->decode(slurp('t/fuzz/corpus/schema/full'))->{spec};
my @values = (true, false, 0, 1, -1, 2, 33, 1.5, 100000, 3000000000, '', 'a', 'A b', "x\ny", '1Gi', '2', '2147483648', 'paper', 'demo', 'OnDemand', '@daily',
    '2026-11-24T08:00:00Z', 'https://x/y', '../x', [], {}, ['a'], [ 'a', 'a' ], { a => 'b' }, 'a' x 70, "\x{e9}\x{20ac}");

# References to every place: [container, key].
sub places {
    my ($v) = @_;

    my @found;
    if (ref $v eq 'HASH') { push @found, map { ([ $v, $_ ], places($v->{$_})) } sort keys %$v }
    if (ref $v eq 'ARRAY') { push @found, map { ([ $v, $_ ], places($v->[$_])) } 0 .. $#$v }
    return @found;
}

sub random_spec {
    my $v = $json->decode($json->encode({ map { /^(software|eula)$/ || rand() < 0.4 ? ($_ => $full->{$_}) : () } keys %$full }));

    for (1 .. int rand 4) {
        my @places = places($v) or last;
        my ($in, $key) = @{ $places[ rand @places ] };
        my $what = rand;
        my $new = $values[ rand @values ];
        $new = $json->decode($json->encode($new)) if ref $new && ref $new ne 'JSON::PP::Boolean';

        if ($what < 0.3) { ref $in eq 'HASH' ? delete $in->{$key} : splice @$in, $key, 1 }
        elsif ($what < 0.9) { ref $in eq 'HASH' ? $in->{$key} = $new : ($in->[$key] = $new) }
        elsif (ref $in eq 'HASH') { $in->{ (qw(foo extra name), 'a/b')[ rand 4 ] } = $new }
        else { push @$in, $in->[ rand @$in ] }
    }

    return $v;
}

subtest 'the schema and the API server agree' => sub {
    my $seed = $ENV{CRD_SEED} // int rand 2**31;
    my $n = $ENV{CRD_SPECS} // 400;
    srand $seed;
    my (@differ, $valid);

    for my $i (1 .. $n) {
        my $spec = random_spec();
        my $verdict = agree($spec, $json->encode($spec));
        $verdict =~ /^[01]$/ ? ($valid += $verdict) : push @differ, $verdict;
    }

    is_deeply(\@differ, [], "about $n random specs, $valid of them valid") or diag "CRD_SEED=$seed";
    ok($valid > $n / 20 && $valid < $n * 0.95, 'some valid, some not');
    srand;
};

subtest 'rules' => sub {
    my %more = (
        'no software' => {}, 'no EULA' => { software => { type => 'paper' } }, 'velocity needs none' => { software => { type => 'velocity' } },
        'the EULA accepted' => { software => { type => 'paper' }, eula => { accepted => true } },
        'OnDemand alone' => { %$demo, runPolicy => 'OnDemand' }, 'OnDemand with hibernation' => { %$demo, runPolicy => 'OnDemand', hibernation => {} },
        'custom without image' => { software => { type => 'custom' }, eula => { accepted => true } },
        'two operators of a name' => { %$demo, access => { operators => [ { name => 'a' }, { name => 'a' } ] } },
        'an addon by URL without hash' => { %$demo, addons => [ { name => 'a', kind => 'Mod', source => { url => 'https://x/y' } } ] },
        'an unknown field' => { %$demo, foo => 1 }, 'too little memory' => { %$demo, resources => { memory => '1Mi' } },
        map({ ("extra $_" => { %$demo, properties => { extra => { $_ => '1' } } }) } qw(server-port rcon.port query.x motd max-players max-world-size), 'A b'));
    my @differ = grep { !/^[01]$/ } map { agree($more{$_}, $_) } sort keys %more;
    is_deeply(\@differ, [], 'judged alike');
};

subtest 'changes' => sub {
    my @changes = ([ { size => '1Gi' }, { size => '2Gi' }, 1 ], [ { size => '2Gi' }, { size => '1Gi' }, 0 ], [ { size => '2Gi' }, { size => '2048Mi' }, 1 ],
        [ { size => '20Gi' }, {}, 0 ], [ {}, { size => '11Gi' }, 1 ], [ { storageClassName => 'a' }, { storageClassName => 'b' }, 0 ],
        [ { storageClassName => 'a' }, {}, 0 ], [ {}, { storageClassName => 'a' }, 0 ], [ {}, { retention => 'Delete' }, 1 ],
        [ { size => '2Gi', storageClassName => 'a' }, { size => '1Gi', storageClassName => 'b' }, 0 ]);

    for my $c (@changes) {
        my ($old, $new, $want) = @$c;
        my ($from, $to) = map { { %$demo, storage => $_ } } $old, $new;
        $kube->create(resource('changed', $from));
        my $r = $kube->raw(PUT => "$path/changed?dryRun=All", { %{ resource('changed', $to) }, metadata => { name => 'changed',
            resourceVersion => $kube->get(MinecraftServer => 'changed')->{metadata}{resourceVersion} } });
        is($r->status, $want ? 200 : 422, $json->encode($old) . ' to ' . $json->encode($new)) or diag $r->body;
        is((ours($to, $from))[0], $want, 'and for us');
        $kube->delete(MinecraftServer => 'changed');
    }
};

subtest 'names' => sub {
    for ([ 'a', 201 ], [ 'a' x 63, 201 ], [ 'a' x 64, 422 ], [ 'a.b', 422 ], [ '0-9', 201 ]) {
        my ($name, $status) = @$_;
        is($kube->create(resource($name, $demo), try => 1, query => 'dryRun=All')->status, $status, 'a name of ' . length($name) . ', ' . substr($name, 0, 3));
    }
};

# -- what people see --

subtest 'kubectl' => sub {
    like($kube->kubectl(qw(explain mcsrv.spec.properties.maxPlayers)), qr/How many may play at once/, 'explain');
    like($kube->kubectl(qw(explain minecraftserver.spec.runPolicy)), qr/ENUM:\s+Always\s+OnDemand\s+Stopped/, 'with the choices');
    like($kube->kubectl(qw(explain mcsrv --recursive)), qr/hibernation\s.*\n\s+idleMinutes/, 'and all fields');

    my $file = $t->dir . '/bad.json';
    open my $f, '>', $file or die;
    print $f $json->encode(resource('bad', { software => { type => 'paper' }, runPolicy => 'OnDemand', storage => { size => '1' },
        properties => { maxPlayers => 0, extra => { 'rcon.port' => '1' } } }));
    close $f;
    my ($status, undef, $err) = $kube->kubectl_try('apply', '--dry-run=server', '-f', $file);
    isnt($status, 0, 'apply --dry-run=server refuses');
    like($err, qr/spec\.properties\.maxPlayers: Invalid value/, 'with the path of a field');
    $err = $kube->create(resource('bad', { software => { type => 'paper' }, runPolicy => 'OnDemand', storage => { size => '1' }, properties => { extra => { 'rcon.port' => '1' } } }), try => 1)->json;
    my %fields = map { ($_->{field} => $_->{message}) } @{ $err->{details}{causes} };
    is_deeply([ sort keys %fields ], [qw(spec.eula.accepted spec.hibernation spec.properties.extra spec.storage.size)], 'rules name fields, all at once') or diag explain($err);
    like($fields{'spec.eula.accepted'}, qr{aka\.ms/MinecraftEULA}, 'and say what to do');
};

sub with_status {
    my ($name, $type, $policy, %status) = @_;

    $kube->server($name, software => { type => $type, version => '1.20.4' }, runPolicy => $policy, $type eq 'demo' ? () : (eula => { accepted => true }));
    $kube->apply({ %{ resource($name) }, spec => undef, status => \%status }, sub => 'status', manager => 'mchost-status');
}

subtest 'columns, selection, wait' => sub {
    with_status('lobby', 'demo', 'Always', state => 'Running', version => '1.20.4', players => { online => 3, max => 20 }, message => 'all is well',
        address => { host => '10.1.2.3', port => 25565 }, storage => { capacity => '1Gi' }, conditions => [ { type => 'Ready', status => 'True', lastTransitionTime => '2026-11-24T08:00:00Z' } ]);
    with_status('creative', 'paper', 'Stopped', state => 'Stopped');

    my @rows = map { [ split /\s{2,}/ ] } split /\n/, $kube->kubectl(qw(get mcsrv lobby));
    is_deeply($rows[0], [qw(NAME TYPE VERSION STATE PLAYERS ADDRESS PORT AGE)], 'columns');
    is_deeply([ @{ $rows[1] }[ 0 .. 6 ] ], [qw(lobby demo 1.20.4 Running 3 10.1.2.3 25565)], 'and their values');
    my ($head, $row) = split /\n/, $kube->kubectl(qw(get mcsrv lobby -o wide));
    like($head, qr/READY +RESTART +POLICY +STORAGE +MESSAGE/, 'wide');
    like($row, qr/True +Always +1Gi +all is well/, 'and their values');
    like($kube->kubectl(qw(get all)), qr{minecraftserver\.mchost\.io/lobby}, 'in "all"');
    like($kube->kubectl(qw(get mchost -o name)), qr{minecraftserver\.mchost\.io/lobby}, 'and in "mchost"');

    my $name = sub { join ' ', sort map { m{/(.*)} } split /\n/, $kube->kubectl(qw(get mcsrv -o name --field-selector), $_[0]) };
    is($name->('spec.software.type=demo'), 'lobby', 'selected by type');
    is($name->('spec.runPolicy=Stopped'), 'creative', 'by run policy');
    is($name->('status.state=Running'), 'lobby', 'by state');
    is($name->('spec.software.version=1.20.4'), 'creative lobby', 'by version');
    is($name->('spec.network.exposure=NodePort'), '', 'by exposure');

    is(($kube->kubectl_try(qw(wait --for=condition=Ready --timeout=60s mcsrv/lobby)))[0], 0, 'wait for a condition');
    isnt(($kube->kubectl_try(qw(wait --for=condition=Ready --timeout=1s mcsrv/creative)))[0], 0, 'in vain when it does not come');
    is(($kube->kubectl_try(qw(wait --for=jsonpath={.status.state}=Stopped --timeout=60s mcsrv/creative)))[0], 0, 'wait for a state');
};

subtest 'status and spec are apart' => sub {
    my $before = $kube->get(MinecraftServer => 'lobby');
    $kube->patch(MinecraftServer => 'lobby', { status => { state => 'Failed' } });
    my $after = $kube->get(MinecraftServer => 'lobby');
    is($after->{status}{state}, 'Running', 'a status in the resource is not taken');
    is($after->{metadata}{generation}, $before->{metadata}{generation}, 'and makes no generation');
    $kube->patch(MinecraftServer => 'lobby', { status => { state => 'Failed' }, spec => { runPolicy => 'Stopped' } }, sub => 'status');
    $after = $kube->get(MinecraftServer => 'lobby');
    is("$after->{status}{state} $after->{spec}{runPolicy}", 'Failed Always', 'nor a spec with the status');
    is($kube->patch(MinecraftServer => 'lobby', { status => { state => 'Dancing' } }, sub => 'status', try => 1)->status, 422, 'a state that there is not');
    $kube->patch(MinecraftServer => 'lobby', { spec => { displayName => 'L' } });
    is($kube->get(MinecraftServer => 'lobby')->{metadata}{generation}, $before->{metadata}{generation} + 1, 'a spec makes a generation');
};

subtest 'lists are merged by their keys' => sub {
    my $by = sub { my ($manager, $op) = @_; $kube->apply(resource('merged', { software => { type => 'demo' }, access => { operators => [ { name => $op } ], allowList => { players => [$op] } } }), manager => $manager, ns => $kube->ns) };
    $by->('anna', 'Anna');
    $by->('bert', 'Bert');
    my $access = $kube->get(MinecraftServer => 'merged')->{spec}{access};
    is_deeply([ map { $_->{name} } @{ $access->{operators} } ], [qw(Anna Bert)], 'operators of two managers');
    is_deeply($access->{allowList}{players}, [qw(Anna Bert)], 'and players');
};

close $to;
waitpid $pid, 0;
done_testing;
