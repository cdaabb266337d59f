# A property-based tester, driven by /openapi.json: no 5xx but the 501 of what is
# not there yet, no status, content type or body that is not documented.

use lib 't/lib';
use MCHost::Test;

my $tester = root() . '/build/schemathesis/bin/schemathesis';
my $t = MCHost::Test->new;
my $red = $t->tenant('red');
my $spec = "$t->{dir}/openapi.json";

open my $f, '>', $spec or die "$spec: $!";
print $f $t->api(GET => '/openapi.json')->body;
close $f;

-x $tester or die "$tester is not there: make test installs it\n";

# not what logs out or in, nor what waits for a console that nobody answers
my $skip = '(me/|sessions|accept|console|kick|/logs)';
my $out = "$t->{dir}/schemathesis.log";
my $url = 'http://127.0.0.1:' . $t->port . '/api/v1';
my $checks = 'not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance';
system("cd $t->{dir} && timeout 300 $tester run --url $url -H 'Authorization: Bearer $red->{key}' --checks $checks"
    . " --exclude-path-regex '$skip' -n 10 --seed 1 --phases fuzzing $spec > $out 2>&1");

my $log = slurp($out);
my ($cases) = $log =~ /(\d+) generated/;
cmp_ok($cases // 0, '>', 300, 'cases') or diag $log;
my @failures = $log =~ /^\[(\d{3})\] .*:$/mg;
is_deeply([ grep { $_ ne '501' } @failures ], [], 'no answer that is not documented') or diag $log;
unlike($log, qr/- (?!ST101)ST\d+/, 'of no other kind');
unlike(slurp($t->nginx->{log}), qr/\[(alert|emerg|crit)\]/, 'nothing in the log');

done_testing;
