# What the Azure Monitor Agent of this Windows machine is up to, told in one go.
#
# This file only defines functions; the caller appends one line that calls Invoke-AmplsGather. It reads, and
# changes nothing. It needs Windows PowerShell 5.1 and no module beside those of the system. What it prints is
# described in its twin for Linux, gather.sh: the same lines, the same parts. Tokens that the instance metadata
# service gives are dropped in the function that receives them.

Set-StrictMode -Off

function ConvertTo-AmplsField([string] $Text, [switch] $Whole) {
    # Bytes that are not printable ASCII, and "%", become %XX; blanks and "!" too, unless the text is the last field.
    if (-not $Text) { return '-' }
    $out = New-Object Text.StringBuilder
    foreach ($byte in [Text.Encoding]::UTF8.GetBytes($Text)) {
        $special = ($byte -eq 0x25) -or ((-not $Whole) -and (($byte -eq 0x20) -or ($byte -eq 0x21)))
        if (($byte -lt 0x20) -or ($byte -gt 0x7e) -or $special) { [void] $out.AppendFormat('%{0:X2}', $byte) }
        else { [void] $out.Append([char] $byte) }
    }
    $out.ToString()
}

function Get-AmplsSeconds([datetime] $Time) {
    [long] ($Time.ToUniversalTime() - [datetime] '1970-01-01').TotalSeconds
}

function Test-AmplsLate { (Get-Date) -gt $script:AmplsDeadline }

function Get-AmplsAddresses([string] $Name) {
    # As programs on this machine resolve it: cache, hosts file, DNS. That there is no such name is an answer;
    # a server that fails (TryAgain, NoRecovery) is none.
    $task = [Net.Dns]::GetHostAddressesAsync($Name)
    try { if (-not $task.Wait(10000)) { return , @('no-answer') } } catch {
        $cause = $_.Exception.GetBaseException()
        $answered = ($cause -is [Net.Sockets.SocketException]) -and (@('HostNotFound', 'NoData') -contains "$($cause.SocketErrorCode)")
        if ($answered) { return , @('not-found') }
        return , @('failed')
    }
    $found = @($task.Result | Where-Object { $_.AddressFamily -eq 'InterNetwork' } | ForEach-Object { "$_" } | Select-Object -Unique)
    if ($found.Count -eq 0) { return , @('not-found') }
    return , $found
}

function Get-AmplsSystem { "$(Get-AmplsSeconds (Get-Date)) Windows $($env:PROCESSOR_ARCHITECTURE) 0" }

function Get-AmplsServices {
    $running = @(Get-Process -Name MonAgentCore -ErrorAction SilentlyContinue).Count -gt 0
    "MonAgentCore $(if ($running) { 'running' } else { 'missing' })"
}

function Get-AmplsStarted {
    $process = Get-Process -Name MonAgentCore -ErrorAction SilentlyContinue | Sort-Object StartTime | Select-Object -Last 1
    if (-not $process) { return '!MonAgentCore does not run' }
    # Other users' processes tell it to administrators only.
    try { Get-AmplsSeconds $process.StartTime } catch { '!the start of MonAgentCore is not told to this user' }
}

function Get-AmplsMode { '!Windows has no other mode' }

function Get-AmplsTokens([string[]] $Identities) {
    $index = 0
    foreach ($query in $Identities) {
        if (Test-AmplsLate) { return '!the script ran out of time in it' }
        $url = 'http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmonitor.azure.com%2F'
        if ($query -ne '-') { $url += "&$query" }
        $request = [Net.HttpWebRequest] [Net.WebRequest]::Create($url)
        $request.Proxy = New-Object Net.WebProxy
        $request.Timeout = 8000; $request.ReadWriteTimeout = 8000 # for an answer's head, and for its body
        $request.AllowAutoRedirect = $false
        $request.Headers.Add('Metadata', 'true')
        $status = '-'; $code = ''; $told = ''
        try {
            $answer = $request.GetResponse()
            $status = [int] $answer.StatusCode # the body, which has the token, is never read
            $answer.Close()
        } catch {
            $inner = $_.Exception.InnerException
            if (($inner -is [Net.WebException]) -and $inner.Response) {
                $status = [int] $inner.Response.StatusCode
                $body = (New-Object IO.StreamReader ($inner.Response.GetResponseStream())).ReadToEnd()
                if ($body -match '"error"\s*:\s*"([^"]{0,200})') { $code = $Matches[1] }
                if ($body -match '"error_description"\s*:\s*"([^"]{0,200})') { $told = $Matches[1] }
            } else { $told = "$($_.Exception.Message)" }
        }
        "$index $status $(ConvertTo-AmplsField $code) $(ConvertTo-AmplsField $told)"
        $index++
    }
}

function Get-AmplsDnsServers {
    $found = @(Get-DnsClientServerAddress -AddressFamily IPv4 -ErrorAction SilentlyContinue | ForEach-Object { $_.ServerAddresses })
    if ($found.Count -eq 0) { return '!no interface names a DNS server' }
    $found | Select-Object -Unique | Select-Object -First 8
}

function Get-AmplsLookups([string[]] $Names) {
    # No hosts file is no line in it; one that cannot be read, or read to its end, says nothing.
    $file = "$env:SystemRoot\System32\drivers\etc\hosts"
    $hosts = @()
    if (Test-Path -LiteralPath $file) {
        try { $hosts = @(Get-Content -LiteralPath $file -TotalCount 5001 -ErrorAction Stop) }
        catch { return '!the hosts file cannot be read' }
        if ($hosts.Count -gt 5000) { return '!the hosts file has more than 5000 lines' }
    }
    $index = 0
    foreach ($name in $Names) {
        if (Test-AmplsLate) { return '!the script ran out of time in it' }
        $listed = @(foreach ($line in $hosts) {
                $words = @(($line -replace '#.*', '').Trim() -split '\s+')
                if (($words.Count -gt 1) -and ($words[1..($words.Count - 1)] -contains $name)) { $words[0] }
            })
        "$index $((Get-AmplsAddresses $name) -join ',') $(ConvertTo-AmplsField ($listed -join ','))"
        $index++
    }
}

function Get-AmplsHandshakes([string[]] $Names) {
    $index = 0
    foreach ($name in $Names) {
        if (Test-AmplsLate) { return '!the script ran out of time in it' }
        foreach ($address in @((Get-AmplsAddresses $name) | Where-Object { $_ -match '^[0-9.]+$' } | Select-Object -First 2)) {
            "$index $address $(Test-AmplsTls $name $address)"
        }
        $index++
    }
}

function Test-AmplsTls([string] $Name, [string] $Address) {
    $client = New-Object Net.Sockets.TcpClient
    try {
        try { $connected = $client.ConnectAsync($Address, 443).Wait(5000) }
        catch { return "no $(ConvertTo-AmplsField ($_.Exception.GetBaseException().Message))" }
        if (-not $connected) { return 'no no%20answer%20in%20time' }
        $client.ReceiveTimeout = 5000; $client.SendTimeout = 5000
        $script:AmplsErrors = 'None'
        # Every certificate is let through, so that the handshake can be told of; what is wrong with it is kept.
        $check = [Net.Security.RemoteCertificateValidationCallback] { param($from, $certificate, $chain, $errors) $script:AmplsErrors = "$errors"; $true }
        $stream = New-Object Net.Security.SslStream -ArgumentList @(($client.GetStream()), $false, $check)
        try { $stream.AuthenticateAsClient($Name, $null, [Security.Authentication.SslProtocols] 'Tls12', $false) }
        catch { return "tcp $(ConvertTo-AmplsField ($_.Exception.GetBaseException().Message))" }
        $leaf = $stream.RemoteCertificate
        $code = if ($script:AmplsErrors -eq 'None') { 'ok' } else { ConvertTo-AmplsField $script:AmplsErrors }
        "tls TLSv1.2 $($stream.CipherAlgorithm) $code $(ConvertTo-AmplsField $leaf.Issuer) $(ConvertTo-AmplsField $leaf.Subject)"
    } finally { $client.Close() }
}

function Get-AmplsHealth([string[]] $Names) {
    [Net.ServicePointManager]::SecurityProtocol = 'Tls12'
    $index = 0
    foreach ($name in $Names) {
        if ($name -like '*.handler.control.*') {
            if (Test-AmplsLate) { return '!the script ran out of time in it' }
            try { $said = (Invoke-WebRequest -UseBasicParsing -TimeoutSec 8 -MaximumRedirection 0 -Uri "https://$name/ping").Content }
            catch { $said = $_.Exception.Message }
            if ($said -is [byte[]]) { $said = [Text.Encoding]::ASCII.GetString($said) } # a body whose type is no text
            $said = "$said"; if ($said.Length -gt 160) { $said = $said.Substring(0, 160) }
            "$index $(ConvertTo-AmplsField $said -Whole)"
        }
        $index++
    }
}

function Get-AmplsChunks([string[]] $Names) {
    # On a machine of Azure, and on one of Arc.
    $places = @('C:\WindowsAzure\Resources\AMADataStore*\mcs', 'C:\Resources\Directory\AMADataStore*\mcs' | Where-Object { Test-Path $_ })
    if ($places.Count -eq 0) { return '!C:\WindowsAzure\Resources\AMADataStore*\mcs is missing' }
    $files = @($places | ForEach-Object { Get-ChildItem "$_\configchunks\*.json" -ErrorAction SilentlyContinue -ErrorVariable +unread })
    $unread = @($unread | Where-Object { $_ -and ($_.Exception -isnot [Management.Automation.ItemNotFoundException]) })
    if ($unread.Count -gt 0) { return "!$(ConvertTo-AmplsField "$($unread[0])" -Whole)" }
    if ($files.Count -gt 200) { return "!$($places[0]) has more than 200 files" }
    foreach ($file in $files) {
        # Without this, a file that cannot be read would be told of with the text of the one before.
        try { $text = [IO.File]::ReadAllText($file.FullName).Replace('\/', '/') }
        catch { return "!$(ConvertTo-AmplsField "$($file.Name) cannot be read" -Whole)" }
        $rule = if ($text -match '(agentConfigurations|dataCollectionRules)/(dcr-[0-9A-Za-z]+)') { $Matches[2] } else { '-' }
        $protocols = @([regex]::Matches($text, '"protocol"\s*:\s*"(\w+)"') | ForEach-Object { $_.Groups[1].Value } | Select-Object -Unique) -join ','
        $found = [regex]::Matches($text, '"(?:endpoint|endpointUriTemplate|tokenEndpointUri)"\s*:\s*"https://([A-Za-z0-9._-]+)')
        $hosts = @($found | ForEach-Object { $_.Groups[1].Value.ToLowerInvariant() } | Select-Object -Unique | ForEach-Object {
                $at = [array]::IndexOf($Names, $_)
                if ($at -ge 0) { "#$at" } else { $_ }
            }) -join ','
        if (-not $protocols) { $protocols = '-' }
        if (-not $hosts) { $hosts = '-' }
        "$(ConvertTo-AmplsField $file.Name) $(Get-AmplsSeconds $file.LastWriteTime) $rule $protocols $hosts"
    }
}

function Get-AmplsDisks {
    $drive = Get-PSDrive -Name C -ErrorAction SilentlyContinue
    if ($drive) { "C: $($drive.Free)" } else { '!drive C: does not answer' }
}

function Get-AmplsLog { '!the agent''s log is no text on Windows' }

function Invoke-AmplsGather([string] $Nonce, [int] $Limit, [string] $From, [int] $Skip, [string] $NameList, [string] $IdentityList, [string] $Parts) {
    $ErrorActionPreference = 'Continue'
    $ProgressPreference = 'SilentlyContinue'
    $names = @($NameList -split ' ' | Where-Object { $_ })
    $identities = @(if ($IdentityList -ne 'none') { $IdentityList -split ' ' })
    $script:AmplsDeadline = (Get-Date).AddSeconds(40)
    $script:AmplsUsed = 0
    $say = { param($line) $script:AmplsUsed += $Nonce.Length + $line.Length + 3; "$Nonce $line" }
    & $say 'begin 1'
    foreach ($part in $Parts -split ' ') {
        if (($From -ne '-') -and ($From -ne $part)) { continue }
        $From = '-'
        if (Test-AmplsLate) { & $say "! $part the script ran out of time before it got there"; continue }
        $lines = @(switch ($part) {
                system { Get-AmplsSystem }
                services { Get-AmplsServices }
                started { Get-AmplsStarted }
                mode { Get-AmplsMode }
                tokens { Get-AmplsTokens $identities }
                dns_servers { Get-AmplsDnsServers }
                lookups { Get-AmplsLookups $names }
                handshakes { Get-AmplsHandshakes $names }
                health { Get-AmplsHealth $names }
                chunks { Get-AmplsChunks $names }
                disks { Get-AmplsDisks }
                log { Get-AmplsLog }
            }) 2>$null
        $refused = @($lines | Where-Object { "$_".StartsWith('!', [StringComparison]::Ordinal) })
        if ($refused.Count -gt 0) { & $say "! $part $("$($refused[0])".Substring(1))"; $Skip = 0; continue }
        & $say "[ $part"
        $count = 0
        foreach ($line in $lines) {
            $count++
            if ($count -le $Skip) { continue }
            if (($Limit -gt 0) -and (($script:AmplsUsed + "$line".Length + 120) -gt $Limit)) {
                & $say "> $part $($count - 1)"
                & $say 'end'
                return
            }
            & $say ". $line"
        }
        & $say "] $part $count"
        $Skip = 0
    }
    & $say 'end'
}
