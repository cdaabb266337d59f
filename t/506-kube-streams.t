# sanitized: no (the drivers always are)
#
# On a real cluster: an informer keeps up with kubectl and with a compaction,
# a pod's log is followed across restarts of its container, and commands run
# in it.

use lib 't/lib';
use MCHost::Test;
use MCHost::Driver;

my $t = MCHost::Test->new(kube => 1, postgres => 0, redis => 0, nginx => 0);
my $kube = $t->kube;
my $ns = $kube->ns;

sub pod {
    my ($name, $script, %labels) = @_;

    return $kube->create({ apiVersion => 'v1', kind => 'Pod', metadata => { name => $name, namespace => $ns, labels => \%labels },
        spec => { terminationGracePeriodSeconds => 1, automountServiceAccountToken => JSON::PP::false(), containers => [ {
            name => 'server', image => $kube->image, imagePullPolicy => 'IfNotPresent', command => [ 'sh', '-c', $script ] } ] } });
}

sub informer { return MCHost::Driver->start('kube_informer', $kube->kubeconfig, $ns, @_) }
sub items { return { map { /^item (\S+) (.*)/ ? ($1 => $2) : () } $_[0]->ask('dump') } }

sub same {
    my ($d, $name, $selector) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got, $wanted);
    my $list = sub { return { map { ("$ns/$_->{metadata}{name}" => "$_->{metadata}{resourceVersion} $_->{status}{phase}") }
        @{ $kube->raw(GET => "/api/v1/namespaces/$ns/pods?labelSelector=" . ($selector // ''))->json->{items} } } };
    my $text = sub { return join ' ', map { "$_ $_[0]{$_}" } sort keys %{ $_[0] } };
    eval { wait_for { ($got, $wanted) = (items($d), $list->()); $text->($got) eq $text->($wanted) } 'the same', 60 };
    is_deeply($got, $wanted, $name);
}

sub run_in {
    my ($pod, $input, @command) = @_;

    my $d = MCHost::Driver->start('kube_stream', $kube->kubeconfig, 'exec', $ns, $pod, $input, @command);
    $d->expect(qr/^code/, 60);
    my %said = map { /^(out|err|code) (.*)/s ? ($1 => $2) : () } $d->seen;
    ok($d->stop, 'ends without a leak');
    return \%said;
}

my $script = 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo "boot $i"; done; '
    . 'while [ ! -e /tmp/die ]; do i=$((i+1)); echo "tick $i"; sleep 0.1; done; echo last words';
pod('talk', $script, role => 'talker');
my $d = informer('', 1, 2, 0);
my $chosen = informer('role=talker', 0, 0, 0);
$_->expect(qr/^synced/, 60) for $d, $chosen;
wait_for { ($kube->get(Pod => 'talk')->{status}{phase} // '') eq 'Running' } 'the pod', 120;

subtest 'the log' => sub {
    my $log = MCHost::Driver->start('kube_stream', $kube->kubeconfig, 'log', $ns, 'talk', '');
    $log->expect(qr/ tick /, 60);
    run_in('talk', '-', 'sh', '-c', 'touch /tmp/die');
    $log->expect(qr/ last words/, 60);
    $log->expect(qr/ boot 300$/, 60);
    my ($since) = $log->expect(qr/ tick /, 60) =~ /^line (\S+)/;
    my @lines = map { /^line (\S+) (.*)/ ? [ $1, $2 ] : () } $log->seen;
    is(scalar(grep { $_->[1] =~ /^boot/ } @lines), 600, 'every line of both containers, once');
    is(join(' ', map { $_->[1] =~ /^boot (\d+)/ ? $1 : () } @lines), join(' ', 1 .. 300, 1 .. 300), 'in order');
    my @times = map { $_->[0] } @lines;
    is_deeply([ grep { $times[$_] le $times[ $_ - 1 ] } 1 .. $#times ], [], 'their times grow');

    my $later = MCHost::Driver->start('kube_stream', $kube->kubeconfig, 'log', $ns, 'talk', $since);
    my ($first) = $later->expect(qr/^line/, 60) =~ /^line (\S+)/;
    cmp_ok($first, 'gt', $since, 'from after a line that is known');
    ok($later->stop, 'stopped');
    $kube->delete(Pod => 'talk');
    ok($log->expect(qr/^end/, 60), 'ends with the pod');
    ok($log->stop, 'without a leak');
};

subtest 'commands' => sub {
    pod('tool', 'sleep 1000');
    wait_for { ($kube->get(Pod => 'tool')->{status}{phase} // '') eq 'Running' } 'the pod', 120;
    my $r = run_in('tool', '-', 'sh', '-c', 'printf "%s" "$1"', 'sh', "a 'b' &c=\x{20}%d");
    is("$r->{out}|$r->{code}", "12 a 'b' &c= %d|0 ", 'output, and arguments as they are');
    $r = run_in('tool', '-', 'sh', '-c', 'echo oops >&2; exit 3');
    is("$r->{err}|$r->{code}", 'oops|3 ', 'an exit code, and what went wrong');
    $r = run_in('tool', 'typed', 'cat');
    is($r->{out}, '5 typed', 'input and its end');
    $r = run_in('tool', '-', 'nosuch');
    like($r->{code}, qr/^-1 .*nosuch/, 'no such command');
    $r = run_in('nobody', '-', 'true');
    like($r->{code}, qr/^-1 pods "nobody" not found/, 'no such pod');
    $r = run_in('tool', '-', 'sh', '-c', 'i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo 0123456789; done');
    like($r->{out}, qr/^65536 /, 'output beyond the limit is cut');
};

subtest 'informers' => sub {
    pod("p$_", 'sleep 1000', role => $_ % 2 ? 'talker' : 'other') for 1 .. 5;
    same($d, 'pods that came');
    same($chosen, 'those of a selector', 'role=talker');
    $kube->kubectl('label', 'pod', 'p1', 'role=other', '--overwrite');
    same($chosen, 'one that is selected no more', 'role=talker');
    $kube->delete(Pod => "p$_") for 1 .. 3;
    wait_for { !$kube->get(Pod => 'p3') } 'deletion', 60;
    same($d, 'pods that went');
    my ($done) = grep { /^done/ } $d->ask('dump');
    like($done, qr/lists=1 .*gone=0 /, 'watches that end are taken up where they ended');
    ok($_->stop, 'ends without a leak') for $d, $chosen;
};

done_testing();
